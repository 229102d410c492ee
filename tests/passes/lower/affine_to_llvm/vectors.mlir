// Vectors of any rank are flattened: reshaping is nothing, transposing one shuffle.

func.func @tile(%a: memref<?xf32>, %m: index) {
  %zero = arith.constant 0 : index
  %none = arith.constant dense<0.0> : vector<8xf32>
  %mask = vector.create_mask %m : vector<8xi1>
  %x = vector.maskedload %a[%zero], %mask, %none : memref<?xf32>, vector<8xi1>, vector<8xf32> into vector<8xf32>
  %y = vector.shape_cast %x : vector<8xf32> to vector<2x4xf32>
  %z = vector.transpose %y, [1, 0] : vector<2x4xf32> to vector<4x2xf32>
  %w = vector.shape_cast %z : vector<4x2xf32> to vector<8xf32>
  %s = vector.reduction <add>, %w fastmath<reassoc> : vector<8xf32> into f32
  affine.store %s, %a[0] : memref<?xf32>
  return
}

// CHECK:      llvm.mlir.constant(dense<[0, 1, 2, 3, 4, 5, 6, 7]> : vector<8xi32>) : vector<8xi32>
// CHECK:      llvm.intr.smin
// CHECK:      llvm.intr.smax
// CHECK:      llvm.icmp "slt" {{.*}} : vector<8xi32>
// CHECK:      llvm.intr.masked.load
// CHECK-NEXT: llvm.mlir.poison
// CHECK-NEXT: llvm.shufflevector {{.*}} [0, 4, 1, 5, 2, 6, 3, 7] : vector<8xf32>
// CHECK-NEXT: "llvm.intr.vector.reduce.fadd"({{.*}}) <{fastmathFlags = #llvm.fastmath<reassoc>}>
