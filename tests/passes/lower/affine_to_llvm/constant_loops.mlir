// Loops known to run need no guard; loops that run once or never are no loops.

func.func @known(%a: memref<16xf32>) {
  %zero = arith.constant 0.0 : f32
  affine.for %i = 0 to 16 {
    affine.for %j = 4 to 5 {
      affine.store %zero, %a[%i * 0 + %j] : memref<16xf32>
    }
    affine.for %j = 5 to 5 {
      affine.store %zero, %a[15] : memref<16xf32>
    }
  }
  return
}

// CHECK:       llvm.br ^bb1
// CHECK-NEXT:  ^bb1(%{{[0-9]+}}: i64):
// CHECK-NEXT:    llvm.getelementptr inbounds %{{[0-9]+}}[4] : (!llvm.ptr) -> !llvm.ptr, f32
// CHECK-NEXT:    llvm.store
// CHECK-NEXT:    llvm.add
// CHECK-NEXT:    llvm.icmp
// CHECK-NEXT:    llvm.cond_br
// CHECK-NEXT:  ^bb2:
// CHECK-NEXT:    llvm.return
