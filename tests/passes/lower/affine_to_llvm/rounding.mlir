// A float32 that is rounded to even and becomes an i32: one instruction. Others are two.

func.func @whole(%a: memref<8xf32>, %b: memref<8xi32>) {
  %x = affine.vector_load %a[0] : memref<8xf32>, vector<8xf32>
  %y = math.roundeven %x : vector<8xf32>
  %z = arith.fptosi %y : vector<8xf32> to vector<8xi32>
  affine.vector_store %z, %b[0] : memref<8xi32>, vector<8xi32>
  return
}

// CHECK-LABEL: @whole
// CHECK:         %[[X:[0-9]+]] = llvm.load
// CHECK:         llvm.intr.lrint(%[[X]]) : (vector<8xf32>) -> vector<8xi32>
// CHECK-NOT:     llvm.fptosi

func.func @longer(%a: memref<1xf32>, %b: memref<1xi64>) {
  %x = affine.load %a[0] : memref<1xf32>
  %y = math.roundeven %x : f32
  %z = arith.fptosi %y : f32 to i64
  affine.store %z, %b[0] : memref<1xi64>
  return
}

// CHECK-LABEL: @longer
// CHECK:         llvm.intr.roundeven
// CHECK:         llvm.fptosi
