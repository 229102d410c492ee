// Index arithmetic: multiples of the divisor are taken out, known ranges leave nothing to divide,
// powers of two become shifts and masks, and equal expressions are computed once.

func.func @collapsed(%a: memref<64xf32>, %b: memref<4x16xf32>) {
  affine.for %i = 0 to 64 {
    %x = affine.load %a[%i] : memref<64xf32>
    affine.store %x, %b[%i floordiv 16, %i mod 16] : memref<4x16xf32>
  }
  return
}

// CHECK-LABEL: llvm.func @collapsed
// CHECK:         llvm.lshr
// CHECK-NEXT:    llvm.and
// CHECK-NEXT:    llvm.mul {{.*}} overflow<nsw,nuw>
// CHECK-NEXT:    llvm.add {{.*}} overflow<nsw,nuw>
// CHECK-NEXT:    llvm.getelementptr

func.func @split(%a: memref<64xf32>) {
  %zero = arith.constant 0.0 : f32
  affine.for %i = 0 to 4 {
    affine.for %j = 0 to 16 {
      affine.store %zero, %a[((%i * 16 + %j) floordiv 16) * 16 + (%i * 16 + %j) mod 16] : memref<64xf32>
    }
  }
  return
}

// CHECK-LABEL: llvm.func @split
// CHECK-NOT:     llvm.lshr
// CHECK-NOT:     llvm.and
// CHECK-NOT:     div
// CHECK-NOT:     rem

func.func @signed(%a: memref<?xf32>, %n: index) {
  %x = affine.load %a[%n floordiv 3 + 100] : memref<?xf32>
  %y = affine.load %a[%n floordiv 3 + 101] : memref<?xf32>
  return
}

// CHECK-LABEL: llvm.func @signed
// CHECK:         %[[NEGATIVE:[0-9]+]] = llvm.icmp "slt"
// CHECK:         llvm.select %[[NEGATIVE]]
// CHECK:         llvm.udiv
// CHECK:         llvm.select %[[NEGATIVE]]
// CHECK-NOT:     llvm.udiv
