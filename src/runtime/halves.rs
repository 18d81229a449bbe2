//! Weights that an ONNX file keeps in 16 bits.

use std::collections::HashMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};
use tract_onnx::prelude::f16;

/// Puts what casts of 16-bit constants to floats give in the place of these casts: such a file is half as
/// large, and what recognises a transformer looks for floats. A damaged constant stays as it is.
pub(super) fn widen(graph: &mut GraphProto) {
    let GraphProto { node, initializer, .. } = graph;
    let half = |t: &&TensorProto| t.data_type == DataType::Float16 as i32;
    let halves: HashMap<&str, &TensorProto> =
        initializer.iter().filter(half).map(|t| (&*t.name, t)).collect();
    let mut wide = Vec::new();
    node.retain(|n| {
        let found = cast(n).and_then(|(from, to)| floats(halves.get(from)?, to));
        let stays = found.is_none();
        wide.extend(found);
        stays
    });
    let used = |t: &TensorProto| node.iter().any(|n| n.input.contains(&t.name));
    initializer.retain(|t| t.data_type != DataType::Float16 as i32 || used(t));
    initializer.extend(wide);
}

/// What a cast to floats reads and makes.
fn cast(node: &NodeProto) -> Option<(&str, &str)> {
    let float = |name: &str, value: i64| name == "to" && value == DataType::Float as i64;
    let fits = node.op_type == "Cast" && node.attribute.iter().any(|a| float(&a.name, a.i));
    match (&node.input[..], &node.output[..]) {
        ([from], [to]) if fits => Some((from, to)),
        _ => None,
    }
}

/// The same numbers as floats; `None` if they are not as many as the shape says.
fn floats(half: &TensorProto, name: &str) -> Option<TensorProto> {
    let (numbers, rest) = half.raw_data.as_chunks::<2>();
    let size = |n: usize, &d: &i64| n.checked_mul(usize::try_from(d).ok()?);
    let count = half.dims.iter().try_fold(1, size)?;
    let wide = |b: &[u8; 2]| f16::from_le_bytes(*b).to_f32().to_le_bytes();
    (rest.is_empty() && numbers.len() == count).then(|| TensorProto {
        name: name.into(),
        data_type: DataType::Float as i32,
        raw_data: numbers.iter().flat_map(wide).collect(),
        ..half.clone()
    })
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::AttributeProto;

    use super::*;

    fn graph(dims: &[i64]) -> GraphProto {
        let to = AttributeProto { name: "to".into(), i: 1, ..AttributeProto::default() };
        let node = |op: &str, from: &str, to: &str, attribute| NodeProto {
            op_type: op.into(),
            input: vec![from.into()],
            output: vec![to.into()],
            attribute,
            ..NodeProto::default()
        };
        let half = TensorProto {
            name: "half".into(),
            dims: dims.to_vec(),
            data_type: DataType::Float16 as i32,
            raw_data: [1.5f32, -2.0].iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect(),
            ..TensorProto::default()
        };
        GraphProto {
            node: vec![node("Cast", "half", "wide", vec![to]), node("Abs", "wide", "y", vec![])],
            initializer: vec![half],
            ..GraphProto::default()
        }
    }

    #[test]
    fn a_cast_of_a_constant_becomes_a_constant() {
        let mut found = graph(&[2, 1]);
        widen(&mut found);
        assert_eq!((found.node.len(), found.initializer.len()), (1, 1));
        let wide = &found.initializer[0];
        assert_eq!((&*wide.name, &wide.dims[..], wide.data_type), ("wide", &[2, 1][..], 1));
        let floats: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(wide.raw_data, floats);
    }

    #[test]
    fn what_does_not_fit_its_shape_is_left_to_tract() {
        for dims in [&[3][..], &[-2], &[i64::MAX, 4]] {
            let mut found = graph(dims);
            widen(&mut found);
            assert_eq!((found.node.len(), found.initializer.len()), (2, 1), "{dims:?}");
        }
    }
}
