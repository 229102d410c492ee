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

// A sum of many sizes is hidden as well: LLVM would try to take it apart in all ways.

func.func @behind(%a: memref<?xf32>, %b: memref<?xf32>, %0: index, %1: index, %2: index, %3: index,
                  %4: index, %5: index, %6: index, %7: index, %8: index) {
  affine.for %i = 0 to 64 {
    %x = affine.load %a[%i] : memref<?xf32>
    affine.store %x, %b[%i + %0 + %1 + %2 + %3 + %4 + %5 + %6 + %7 + %8] : memref<?xf32>
  }
  return
}

// CHECK-LABEL: llvm.func @behind
// CHECK-COUNT-8: llvm.add
// CHECK:         llvm.intr.strip.invariant.group
