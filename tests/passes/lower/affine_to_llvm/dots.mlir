// Without an instruction for it, a dot product is products of wide lanes and sums of their parts.

func.func @pairs(%a: memref<16xi16>, %b: memref<16xi8>, %r: memref<8xi32>) {
  %zero = arith.constant 0 : index
  %x = vector.load %a[%zero] : memref<16xi16>, vector<16xi16>
  %y = vector.load %b[%zero] : memref<16xi8>, vector<16xi8>
  %c = vector.load %r[%zero] : memref<8xi32>, vector<8xi32>
  %p = vector.shape_cast %x : vector<16xi16> to vector<8x2xi16>
  %w = arith.extsi %y : vector<16xi8> to vector<16xi16>
  %q = vector.shape_cast %w : vector<16xi16> to vector<8x2xi16>
  %s = vector.contract {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"], kind = #vector.kind<add>} %p, %q, %c : vector<8x2xi16>, vector<8x2xi16> into vector<8xi32>
  vector.store %s, %r[%zero] : memref<8xi32>, vector<8xi32>
  return
}

// CHECK:      llvm.sext {{.*}} : vector<16xi8> to vector<16xi16>
// CHECK:      llvm.sext {{.*}} : vector<16xi16> to vector<16xi32>
// CHECK-NEXT: llvm.sext {{.*}} : vector<16xi16> to vector<16xi32>
// CHECK-NEXT: llvm.mul {{.*}} : vector<16xi32>
// CHECK:      llvm.shufflevector {{.*}} [0, 2, 4, 6, 8, 10, 12, 14] : vector<16xi32>
// CHECK:      llvm.shufflevector {{.*}} [1, 3, 5, 7, 9, 11, 13, 15] : vector<16xi32>
// CHECK-NEXT: llvm.add {{.*}} : vector<8xi32>
// CHECK-NEXT: llvm.add {{.*}} : vector<8xi32>
