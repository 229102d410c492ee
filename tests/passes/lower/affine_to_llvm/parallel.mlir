// A parallel loop: the body's function takes what it captures, the thunk unpacks the closure, the
// kernel gets the context first and hands the loop to its pool.

func.func @scale(%a: memref<?x64xf32>, %s: f32) {
  %zero = arith.constant 0 : index
  %n = memref.dim %a, %zero : memref<?x64xf32>
  affine.parallel (%i) = (0) to (%n) {
    %x = affine.load %a[%i, 3] : memref<?x64xf32>
    %y = arith.mulf %x, %s : f32
    affine.store %y, %a[%i, 3] : memref<?x64xf32>
  } {grain = 4 : i64}
  return
}

// CHECK:      llvm.func internal @scale.parallel0(%{{[0-9]+}}: !llvm.ptr {llvm.noalias, llvm.nocapture, llvm.nonnull}, %{{[0-9]+}}: i64, %{{[0-9]+}}: f32, %[[BEGIN:[0-9]+]]: i64, %[[END:[0-9]+]]: i64)
// CHECK:        llvm.icmp "slt" %[[BEGIN]], %[[END]] : i64
// CHECK:      llvm.func internal @scale.thunk0(%[[CLOSURE:[0-9]+]]: !llvm.ptr, %{{[0-9]+}}: i64, %{{[0-9]+}}: i64)
// CHECK:        llvm.getelementptr inbounds %[[CLOSURE]][0, 2] : (!llvm.ptr) -> !llvm.ptr, !llvm.struct<(!llvm.ptr, i64, f32)>
// CHECK:        llvm.call @scale.parallel0
// CHECK:      llvm.func @scale(%[[CONTEXT:[0-9]+]]: !llvm.ptr, %{{[0-9]+}}: !llvm.ptr {llvm.noalias, llvm.nocapture, llvm.nonnull}, %[[N:[0-9]+]]: i64, %{{[0-9]+}}: f32)
// CHECK:        %[[GRAIN:[0-9]+]] = llvm.mlir.constant(4) : i64
// CHECK:        %[[THUNK:[0-9]+]] = llvm.mlir.addressof @scale.thunk0 : !llvm.ptr
// CHECK:        %[[POOL:[0-9]+]] = llvm.load %[[CONTEXT]] {alignment = 8 : i64} : !llvm.ptr -> !llvm.ptr
// CHECK:        llvm.call %[[POOL]](%[[CONTEXT]], %[[THUNK]], %{{[0-9]+}}, %[[N]], %[[GRAIN]])
