// Dimensions of one iteration are no loops.

func.func @fill(%a: memref<8xf32>) {
  %zero = arith.constant 0.0 : f32
  affine.parallel (%i, %j, %k) = (2, 0, 0) to (3, 8, 1) {
    affine.store %zero, %a[%i + %j + %k - 2] : memref<8xf32>
  } {grain = 1 : i64}
  return
}

// CHECK:      llvm.func internal @fill.parallel0
// CHECK-NOT:    div
// CHECK:        llvm.cond_br
// CHECK:        llvm.store
// CHECK:        llvm.cond_br
// CHECK-NOT:    llvm.cond_br
// CHECK:      llvm.func internal @fill.thunk0
