#set = affine_set<(d0, d1) : (d0 - 1 >= 0, d1 - d0 == 0)>
func.func @f(%a: memref<?x16xf32>, %n: index, %m: index) {
  affine.parallel (%i, %j) = (0, %n) to (%n, min(%m, 16)) step (1, 4) {
    %x = affine.load %a[%i, %j] : memref<?x16xf32>
    affine.prefetch %a[%i, %j + 5], read, locality<3>, data : memref<?x16xf32>
    affine.if #set(%i, %j) {
      affine.store %x, %a[%i, %j] : memref<?x16xf32>
    } else {
      affine.store %x, %a[%i, %j + 1] : memref<?x16xf32>
    }
    %r = affine.if #set(%i, %j) -> f32 {
      affine.yield %x : f32
    } else { affine.yield %x : f32 }
  } {grain = 4 : i64}
  %q = affine.max affine_map<(d0)[s0] -> (d0, s0 + 4)>(%n)[%m]
  return
}
