// A loop of dynamic length: guard, then one rotated block; sizes follow their pointer.

func.func @add(%a: memref<?xf32>, %c: memref<?xf32>) {
  %zero = arith.constant 0 : index
  %n = memref.dim %a, %zero : memref<?xf32>
  affine.for %i = 0 to %n {
    %x = affine.load %a[%i] : memref<?xf32>
    %y = arith.addf %x, %x fastmath<reassoc,contract> : f32
    affine.store %y, %c[%i] : memref<?xf32>
  } {vectorize_width = 8 : i64, unroll_disable}
  return
}

// CHECK:      llvm.func @add(%[[A:[0-9]+]]: !llvm.ptr {llvm.noalias, llvm.nocapture, llvm.nonnull}, %[[N:[0-9]+]]: i64,
// CHECK-SAME:     attributes {passthrough = ["nounwind"]}
// CHECK:        %[[ZERO:[0-9]+]] = llvm.mlir.constant(0) : i64
// CHECK:        %[[SOME:[0-9]+]] = llvm.icmp "slt" %[[ZERO]], %[[N]] : i64
// CHECK-NEXT:   llvm.cond_br %[[SOME]], ^bb1(%[[ZERO]] : i64), ^bb2
// CHECK-NEXT: ^bb1(%[[I:[0-9]+]]: i64):
// CHECK-NEXT:   %[[P:[0-9]+]] = llvm.getelementptr inbounds %[[A]][%[[I]]] : (!llvm.ptr, i64) -> !llvm.ptr, f32
// CHECK-NEXT:   llvm.load %[[P]] {alignment = 4 : i64} : !llvm.ptr -> f32
// CHECK-NEXT:   llvm.fadd {{.*}} {fastmathFlags = #llvm.fastmath<reassoc,contract>} : f32
// CHECK-NEXT:   llvm.getelementptr
// CHECK-NEXT:   llvm.store
// CHECK-NEXT:   %[[NEXT:[0-9]+]] = llvm.add %[[I]], {{.*}} overflow<nsw,nuw> : i64
// CHECK-NEXT:   %[[AGAIN:[0-9]+]] = llvm.icmp "slt" %[[NEXT]], %[[N]] : i64
// CHECK-NEXT:   llvm.cond_br %[[AGAIN]], ^bb1(%[[NEXT]] : i64), ^bb2 {loop_annotation = #llvm.loop_annotation<vectorize = <width = 8 : i32>, unroll = <disable = true>>}
// CHECK-NEXT: ^bb2:
// CHECK-NEXT:   llvm.return
