// A loop that is outlined is a function of its own, which LLVM may not inline: it takes what it uses
// of the one around it, constants apart, and is called where it stood.

func.func @outlined(%a: memref<8x4xf32>, %b: memref<8x4xf32>, %x: f32) {
  affine.for %i = 0 to 8 {
    %two = arith.constant 2.0 : f32
    affine.for %j = 0 to 4 {
      %v = affine.load %a[%i, %j] : memref<8x4xf32>
      %w = arith.mulf %v, %x : f32
      %y = arith.addf %w, %two : f32
      affine.store %y, %b[%i, %j] : memref<8x4xf32>
    } {outline}
  }
  return
}

// CHECK:      llvm.func internal @outlined.part0(%[[A:[0-9]+]]: !llvm.ptr {llvm.noalias, llvm.nocapture, llvm.nonnull}, %[[ROW:[0-9]+]]: i64, %[[X:[0-9]+]]: f32, %[[B:[0-9]+]]: !llvm.ptr {llvm.noalias, llvm.nocapture, llvm.nonnull}) attributes {passthrough = ["nounwind", "noinline"]}
// CHECK:        llvm.mlir.constant(2.000000e+00 : f32) : f32
// CHECK:        llvm.fmul %{{[0-9]+}}, %[[X]] : f32
// CHECK:        llvm.cond_br
// CHECK:      llvm.func @outlined(%[[A:[0-9]+]]: !llvm.ptr {llvm.noalias, llvm.nocapture, llvm.nonnull}, %[[B:[0-9]+]]: !llvm.ptr {llvm.noalias, llvm.nocapture, llvm.nonnull}, %[[X:[0-9]+]]: f32)
// CHECK:      ^bb1(%[[ROW:[0-9]+]]: i64):
// CHECK-NEXT:   llvm.call @outlined.part0(%[[A]], %[[ROW]], %[[X]], %[[B]]) : (!llvm.ptr, i64, f32, !llvm.ptr) -> ()
// CHECK:        llvm.cond_br
