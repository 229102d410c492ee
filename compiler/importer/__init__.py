"""Models come in: an ONNX file, bytes or `ModelProto` becomes a module on the `onnx` stage.

    builtin.module attributes {
        onnx.ir_version = 8 : i64,
        onnx.opset_imports = {ai.onnx = 18 : i64, com.microsoft = 1 : i64},
        onnx.metadata = {producer_name = "pytorch", graph_name = "g", custom = {key = "value"}},
        onnx.dim_params = {batch_size = "batch size", x_1 = ""},
        onnx.warnings = ["..."],
        onnx.external_data = ["weights.bin"]
    } {
        func.func @main(%x: tensor<1x?xf32, ...> {onnx.name = "x"})
            -> (!onnx.unknown {onnx.name = "y", onnx.declared_type = tensor<...>}) {
            %none = "onnx.NoValue"() : () -> none
            %w = "onnx.Const"() <{value = dense_resource<w> : tensor<3x3xf32>}> : ...
            %y = "onnx.Clip.v13"(%x, %w, %none) : (...) -> !onnx.unknown
            func.return %y : !onnx.unknown
        }
    }

**Module attributes.** The default domain is written `ai.onnx`. `onnx.metadata` has the non-empty
ones of `producer_name producer_version domain model_version doc_string graph_name
graph_doc_string` and `custom` (`metadata_props`). `onnx.dim_params` maps a symbol of the IR to
the `dim_param` it stands for where the two differ, `""` for a size that the model leaves unnamed.
`onnx.warnings` lists what was odd and accepted; `onnx.external_data` lists the files beside the
model, relative to its folder, that weights were read from.

**Types.** Arguments of `@main` have the declared types with symbolic sizes; every size of an
argument is known, a symbol, or an expression over symbols (a declared size of 0 or less in an
input counts as unknown). The results of `onnx.Const` and `onnx.NoValue` have their types. Every
other value has `tensor<*xT>` when the model declares an element type T for it (which may be
wrong), the declared type when it is no tensor, else `!onnx.unknown`: `passes.onnx.infer_shapes`
sets the real ones, and the function types with them. An absent optional output has type `none`.
`onnx.declared_type` on a result of `@main` is the type the model claims, never trusted, kept for
its names.

**Nodes.** One operation a node, of the class that `dialects.onnx.ops.resolve` gives for its
domain, type and the opset in force; what `onnx.defs` does not know is `onnx.Custom`. `Constant`
nodes and initializers are `onnx.Const`; initializers that are also inputs are constants and no
arguments. Locations carry node name (`<op_type>_<index>` when the model has none), type, domain,
opset and the exporter's stack trace. An initializer's location is `loc("name")`. Attributes that
start with two underscores, which ONNX lets through unchecked, are discardable attributes.

**Subgraphs** are regions with one block each, whose arguments are the subgraph's inputs; they end
in `onnx.Yield` and use outer values directly. A subgraph attribute that is optional and absent is
an empty region. The first two arguments of a `Loop` body have their real types: the shapes that
the body declares for them, `[]` or `[1]`, are what a run gives it.

**Functions** of the model are private `func.func`s after `@main`, called by `onnx.Call`:

    func.func private @"pkg.lib::leaky"(%x: !onnx.unknown {onnx.name = "x"}, ...)
        -> (!onnx.unknown {onnx.name = "y"}) attributes {
            onnx.function = {
                domain = "pkg.lib", name = "leaky", overload = "", doc_string = "",
                opset_imports = {ai.onnx = 18 : i64},
                attributes = ["mode"],                 # names without default, in order
                defaults = {alpha = 1.0e-02 : f32},    # attributes with default
                custom = {key = "value"}
            }} {
        %y = "onnx.LeakyRelu.v16"(%x) <{alpha = #onnx.ref<"alpha", "FLOAT">}> : ...
        func.return %y
    }
    %r = "onnx.Call"(%a, %none) <{callee = @"pkg.lib::leaky"}> {alpha = 2.0e-01 : f32} : ...

* The symbol is `domain::name` (`domain::name::overload`); the exact names stand in `onnx.function`.
* A call has as many operands and results as the function has arguments and results: inputs that
  the node leaves out are `onnx.NoValue`, outputs that it leaves out have type `none`.
* `#onnx.ref<name, kind>` as the value of a property (of an `onnx.Custom` or `onnx.Call`: of an
  attribute) means: the attribute `name` of the call, else the function's default, else the
  attribute is absent. References stand at any depth of regions inside the function.
* A `Constant` node whose value is a reference stays `onnx.Constant.vN`; once its property is a
  plain attribute, `dialects.onnx.constants.constant_node` gives its `onnx.Const`.
* Expansion replaces the call by a clone of the body (each function has its own `onnx.NoValue`); a
  value of an absent input is the `onnx.NoValue` itself. Calls inside bodies follow the same
  rules; recursion is refused at import.
"""

from compiler.importer.model import import_model

__all__ = ["import_model"]
