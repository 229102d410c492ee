"""Control flow: If, Loop and Scan as regions of the host program.

A result has one buffer, made before the region. Where its sizes are known there, the regions write
into that; otherwise it is allocated later (`hal.reserve`), and each region binds the symbols of
its sizes. What a region computes is computed in that place if nothing else can see it.

    If                %r = hal.alloc; hal.if %c { ... into %r } { ... into %r }
    carried value     %v = hal.alloc; hal.copy %initial, %v; hal.for { ... hal.copy %next, %v }
    ... of changing   %v, %t = hal.alloc later; hal.reserve %v
        size          hal.for { hal.reserve %t; ...; hal.bind [size = ...]; hal.swap %v, %t }
    scanned value     %s = hal.alloc; hal.for { ... into hal.view %s {offset = step * bytes} }
    ... without a     %s = hal.alloc later; hal.for { ...; hal.append %x, %s, step }
        known count
"""

from passes.lower.onnx_to_krnl.control import branch, loop, scan

__all__ = ["branch", "loop", "scan"]
