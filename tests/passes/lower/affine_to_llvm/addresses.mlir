// Addresses in nested loops: a base that the outer loops move, from it the innermost loop's, from
// there constants. How the base depends on the outer loops is hidden from LLVM. Addresses that
// constants go back from may be outside of the buffer.

func.func @window(%a: memref<18x64xf32>, %b: memref<8x64xf32>) {
  affine.for %i = 0 to 8 {
    affine.for %j = 0 to 64 {
      %x = affine.load %a[%i * 2, %j] : memref<18x64xf32>
      %y = affine.load %a[%i * 2 + 1, %j] : memref<18x64xf32>
      %s = arith.addf %x, %y : f32
      affine.store %s, %b[%i, %j] : memref<8x64xf32>
    }
  }
  return
}

// CHECK-LABEL: llvm.func @window(%0: !llvm.ptr
// CHECK:         %[[BASE:[0-9]+]] = llvm.getelementptr inbounds %0[
// CHECK-NEXT:    %[[HIDDEN:[0-9]+]] = llvm.intr.strip.invariant.group %[[BASE]]
// CHECK-NEXT:    %[[COLUMN:[0-9]+]] = llvm.getelementptr inbounds %[[HIDDEN]][
// CHECK-NEXT:    llvm.load %[[COLUMN]]
// CHECK-NEXT:    llvm.getelementptr inbounds %[[COLUMN]][64]
// CHECK-NEXT:    llvm.load

func.func @before(%a: memref<64xf32>, %b: memref<64xf32>) {
  affine.for %i = 1 to 64 {
    %x = affine.load %a[%i - 1] : memref<64xf32>
    affine.store %x, %b[%i] : memref<64xf32>
  }
  return
}

// CHECK-LABEL: llvm.func @before
// CHECK-NOT:     strip
// CHECK:         %[[AT:[0-9]+]] = llvm.getelementptr %{{[0-9]+}}[
// CHECK-NEXT:    llvm.getelementptr %[[AT]][-1]
