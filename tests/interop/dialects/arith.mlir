func.func @f(%c: i1, %m: vector<4xi1>, %x: f32, %v: vector<4xf32>, %i: index, %vi: vector<4xi32>) {
  %a = arith.select %c, %x, %x : f32
  %b = arith.select %c, %v, %v : vector<4xf32>
  %d = arith.select %m, %v, %v : vector<4xi1>, vector<4xf32>
  %e = arith.remf %x, %x : f32
  %f = arith.remf %v, %v fastmath<contract> : vector<4xf32>
  %g = arith.index_castui %i : index to i32
  %h = arith.index_castui %vi : vector<4xi32> to vector<4xindex>
  %p = arith.cmpi slt, %i, %i : index
  %q = arith.cmpi ult, %vi, %vi : vector<4xi32>
  %r = arith.cmpf ogt, %v, %v fastmath<nnan> : vector<4xf32>
  %s = arith.cmpf une, %x, %x : f32
  return
}
