func.func @f(%a: memref<?x16xf32>, %ab: memref<?xf32>, %i: index, %v: vector<16xf32>, %iv: vector<16xi32>, %m: vector<16xi1>, %v2: vector<4x4xf32>, %x: f32, %b0: vector<64xi8>, %p: vector<8x2xi16>, %sum: vector<8xi32>) {
  %s = vector.step : vector<16xindex>
  %g = vector.gather %a[%i, %i] [%iv], %m, %v : memref<?x16xf32>, vector<16xi32>, vector<16xi1>, vector<16xf32> into vector<16xf32>
  vector.scatter %ab[%i] [%iv], %m, %v : memref<?xf32>, vector<16xi32>, vector<16xi1>, vector<16xf32>
  %t = vector.transpose %v2, [1, 0] : vector<4x4xf32> to vector<4x4xf32>
  %sc = vector.shape_cast %v2 : vector<4x4xf32> to vector<16xf32>
  %il = vector.interleave %v, %v : vector<16xf32> -> vector<32xf32>
  %d0, %d1 = vector.deinterleave %v : vector<16xf32> -> vector<8xf32>
  %ex = vector.extract %v[%i] : f32 from vector<16xf32>
  %ins = vector.insert %x, %v[%i] : f32 into vector<16xf32>
  %ex2 = vector.extract %v2[1] : vector<4xf32> from vector<4x4xf32>
  %ins2 = vector.insert %ex2, %v2[1] : vector<4xf32> into vector<4x4xf32>
  %fe = vector.from_elements %x, %x : vector<2xf32>
  %bc = vector.broadcast %x : f32 to vector<16xf32>
  %bc2 = vector.broadcast %ex2 : vector<4xf32> to vector<4x4xf32>
  %bi = vector.bitcast %b0 : vector<64xi8> to vector<16xi32>
  %dot = vector.contract {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"], kind = #vector.kind<add>} %p, %p, %sum : vector<8x2xi16>, vector<8x2xi16> into vector<8xi32>
  return
}
