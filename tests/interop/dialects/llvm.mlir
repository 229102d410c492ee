builtin.module {
  llvm.func @f(%arg2: !llvm.ptr, %arg3: i64, %arg4: i32, %arg5: vector<4xf32>, %arg6: vector<4xi1>, %arg7: vector<4x!llvm.ptr>, %arg8: f32, %arg9: vector<4xi32>, %arg10: i1) -> f32 {
    %0 = llvm.extractelement %arg5[%arg3 : i64] : vector<4xf32>
    %1 = llvm.fptosi %arg8 : f32 to i32
    %2 = llvm.fptoui %arg8 : f32 to i32
    %3 = llvm.uitofp %2 : i32 to f32
    %4 = llvm.freeze %arg8 : f32
    %5 = llvm.mlir.poison : f32
    %6 = "llvm.atomicrmw"(%arg2, %arg3) <{bin_op = 1 : i64, ordering = 6 : i64}> : (!llvm.ptr, i64) -> i64
    %7 = "llvm.cmpxchg"(%arg2, %arg3, %arg3) <{failure_ordering = 2 : i64, success_ordering = 6 : i64}> : (!llvm.ptr, i64, i64) -> !llvm.struct<(i64, i1)>
    "llvm.fence"() <{ordering = 7 : i64, syncscope = ""}> : () -> ()
    %8 = llvm.intr.masked.load %arg2, %arg6, %arg5 {alignment = 4 : i32} : (!llvm.ptr, vector<4xi1>, vector<4xf32>) -> vector<4xf32>
    llvm.intr.masked.store %arg5, %arg2, %arg6 {alignment = 4 : i32} : vector<4xf32>, vector<4xi1> into !llvm.ptr
    %9 = llvm.intr.masked.gather %arg7, %arg6, %arg5 {alignment = 4 : i32} : (vector<4x!llvm.ptr>, vector<4xi1>, vector<4xf32>) -> vector<4xf32>
    llvm.intr.masked.scatter %arg5, %arg7, %arg6 {alignment = 4 : i32} : vector<4xf32>, vector<4xi1> into vector<4x!llvm.ptr>
    "llvm.intr.memcpy"(%arg2, %arg2, %arg3) <{isVolatile = false}> : (!llvm.ptr, !llvm.ptr, i64) -> ()
    "llvm.intr.memmove"(%arg2, %arg2, %arg3) <{isVolatile = false}> : (!llvm.ptr, !llvm.ptr, i64) -> ()
    %10 = llvm.mlir.constant(0 : i8) : i8
    "llvm.intr.memset"(%arg2, %10, %arg3) <{isVolatile = false}> : (!llvm.ptr, i8, i64) -> ()
    "llvm.intr.prefetch"(%arg2) <{cache = 1 : i32, hint = 3 : i32, rw = 0 : i32}> : (!llvm.ptr) -> ()
    %44 = llvm.intr.strip.invariant.group %arg2 : !llvm.ptr
    llvm.intr.assume %arg10 : i1
    %11 = llvm.mlir.constant(64) : i64
    %12 = llvm.intr.tanh(%arg8) : (f32) -> f32
    %13 = llvm.intr.round(%arg8) {fastmathFlags = #llvm.fastmath<nsz>} : (f32) -> f32
    %14 = llvm.intr.roundeven(%arg8) : (f32) -> f32
    %15 = llvm.intr.rint(%arg8) : (f32) -> f32
    %16 = llvm.intr.trunc(%arg8) : (f32) -> f32
    %17 = llvm.intr.nearbyint(%arg8) : (f32) -> f32
    %18 = llvm.intr.maximum(%arg8, %arg8) : (f32, f32) -> f32
    %19 = llvm.intr.smax(%arg3, %arg3) : (i64, i64) -> i64
    %20 = llvm.intr.ctpop(%arg3) : (i64) -> i64
    %21 = "llvm.intr.ctlz"(%arg3) <{is_zero_poison = false}> : (i64) -> i64
    %22 = "llvm.intr.abs"(%arg3) <{is_int_min_poison = false}> : (i64) -> i64
    %23 = llvm.intr.bswap(%arg3) : (i64) -> i64
    %24 = llvm.intr.bitreverse(%arg3) : (i64) -> i64
    %25 = llvm.intr.vector.reduce.fmax(%arg5) {fastmathFlags = #llvm.fastmath<nnan>} : (vector<4xf32>) -> f32
    %26 = "llvm.intr.vector.reduce.add"(%arg9) : (vector<4xi32>) -> i32
    %27 = llvm.intr.vector.reduce.fmaximum(%arg5) : (vector<4xf32>) -> f32
    %28 = llvm.intr.sadd.sat(%arg4, %arg4) : (i32, i32) -> i32
    %29 = llvm.intr.fshl(%arg4, %arg4, %arg4) : (i32, i32, i32) -> i32
    %30 = llvm.intr.fmuladd(%arg8, %arg8, %arg8) : (f32, f32, f32) -> f32
    %31 = llvm.load volatile %arg2 invariant {alignment = 4 : i64, nontemporal} : !llvm.ptr -> f32
    %32 = llvm.load %arg2 atomic acquire {alignment = 4 : i64} : !llvm.ptr -> f32
    llvm.store %32, %arg2 atomic release {alignment = 4 : i64} : f32, !llvm.ptr
    %33 = llvm.fcmp "olt" %arg5, %arg5 {fastmathFlags = #llvm.fastmath<nnan>} : vector<4xf32>
    %34 = llvm.select %arg6, %arg5, %arg5 {fastmathFlags = #llvm.fastmath<nnan>} : vector<4xi1>, vector<4xf32>
    %35 = llvm.addrspacecast %arg2 : !llvm.ptr to !llvm.ptr<1>
    "llvm.switch"(%arg4, %arg8) [^bb1, ^bb2, ^bb3] <{case_operand_segments = array<i32: 0, 1>, case_values = dense<[3, 4]> : vector<2xi32>, operandSegmentSizes = array<i32: 1, 0, 1>}> : (i32, f32) -> ()
  ^bb1:
    llvm.return %arg8 : f32
  ^bb2:
    llvm.cond_br %arg10 weights([3, 4]), ^bb1, ^bb1
  ^bb3(%36: f32):
    llvm.unreachable
  }
  llvm.func internal @loop(%arg0: !llvm.ptr {llvm.noalias, llvm.nocapture}, %arg1: i64) attributes {passthrough = ["nounwind", ["prefer-vector-width", "512"]]} {
    %37 = llvm.mlir.constant(0) : i64
    llvm.br ^bb1(%37 : i64)
  ^bb1(%38: i64):
    %39 = llvm.mlir.constant(1) : i64
    %40 = llvm.add %38, %39 overflow<nsw> : i64
    %41 = llvm.getelementptr inbounds %arg0[%38] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %42 = llvm.mlir.constant(0x7fc00000 : f32) : f32
    llvm.store volatile %42, %41 {alignment = 4 : i64, nontemporal} : f32, !llvm.ptr
    %43 = llvm.icmp "slt" %40, %arg1 : i64
    llvm.cond_br %43, ^bb1(%40 : i64), ^bb2 {loop_annotation = #llvm.loop_annotation<disableNonforced = false, vectorize = <disable = true, width = 8 : i32>, interleave = <count = 2 : i32>, unroll = <disable = true>, mustProgress = true>}
  ^bb2:
    llvm.return
  }
}
