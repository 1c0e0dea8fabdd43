use super::*;
use crate::graph::*;
use serde_json::{Value as J, json};
fn dt(s: &str) -> Dtype {
    s.parse().unwrap()
}
fn shape(j: &J) -> Vec<i64> {
    j.as_array().unwrap().iter().map(|x| x.as_i64().unwrap()).collect()
}
fn term(t: &Term) -> J {
    match t {
        Term::Factor(f) => json!({"f":f}),
        Term::Product(p) => json!({"p":p.iter().map(term).collect::<Vec<_>>()}),
        Term::Sum(p) => json!({"s":p.iter().map(term).collect::<Vec<_>>()}),
        Term::Index(f, i) => json!({"i":[f,i]}),
    }
}
fn arg(a: &Argument) -> J {
    match a {
        Argument::Int(i) => json!(i),
        Argument::Ints(i) => json!(i),
        Argument::Float(f) => json!(f),
        Argument::Value(_) => json!("SELF"),
        _ => J::Null,
    }
}
#[test]
fn crosscheck() {
    let Ok(input) = std::env::var("XC_IN") else { return };
    let nodes: J = serde_json::from_str(&std::fs::read_to_string(input).unwrap()).unwrap();
    let mut out = Vec::new();
    for n in nodes.as_array().unwrap() {
        let mut g = Graph::new();
        let mut args = Vec::new();
        for a in n["args"].as_array().unwrap() {
            let name = a[0].as_str().unwrap().to_owned();
            let o = a[1].as_object().unwrap();
            let (k, v) = o.iter().next().unwrap();
            let mut t = |v: &J| g.add_input("", TensorMeta { shape: shape(&v[0]), dtype: dt(v[1].as_str().unwrap()) });
            let x = match k.as_str() {
                "none" => Argument::None,
                "tensor" => Argument::Value(t(v)),
                "tensors" => Argument::Values(
                    v.as_array().unwrap().iter().map(|v| if v.is_null() { None } else { Some(t(v)) }).collect(),
                ),
                "bool" => Argument::Bool(v.as_bool().unwrap()),
                "int" => Argument::Int(v.as_i64().unwrap()),
                "float" => Argument::Float(v.as_f64().unwrap()),
                "str" => Argument::Str(v.as_str().unwrap().into()),
                "ints" => Argument::Ints(shape(v)),
                "floats" => Argument::Floats(v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()),
                _ => Argument::Device("x".into()),
            };
            args.push((name, x));
        }
        let res = n["results"].as_array().unwrap().iter().map(|s| TensorMeta::f32(shape(s))).collect();
        let id = g.add_node(n["op"].as_str().unwrap(), n["overload"].as_str().unwrap(), args, res);
        out.push(match rule(&g,id){
            Err(e)=>json!({"error":e.to_string()}),Ok(None)=>json!({"none":true}),
            Ok(Some(r))=>json!({"text":r.to_string(),"factors":r.factors.iter().map(|f|json!([f.name,f.size,format!("{:?}",f.mark)])).collect::<Vec<_>>(),
              "operands":r.operands.iter().map(|o|o.as_ref().map(|o|o.iter().map(term).collect::<Vec<_>>())).collect::<Vec<_>>(),
              "results":r.results.iter().map(|o|o.iter().map(term).collect::<Vec<_>>()).collect::<Vec<_>>(),
              "rewrites":r.rewrites.iter().map(|w|match w{
                 Rewrite::Op{when,op,overload,arguments}=>json!({"op":op,"overload":overload,"when":when.iter().map(term).collect::<Vec<_>>(),"args":arguments.iter().map(|(n,a)|json!([n,arg(a)])).collect::<Vec<_>>()}),
                 Rewrite::Size{argument,term:t}=>json!({"arg":argument,"size":term(t)}),
                 Rewrite::Sizes{argument,terms}=>json!({"arg":argument,"sizes":terms.iter().map(term).collect::<Vec<_>>()}),
                 Rewrite::Value{when,argument,value}=>json!({"arg":argument,"when":term(when),"value":arg(value)}),
              }).collect::<Vec<_>>()})
        });
    }
    std::fs::write(std::env::var("XC_OUT").unwrap(), serde_json::to_string(&out).unwrap()).unwrap();
}
