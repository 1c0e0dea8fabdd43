use pruner_bench::{data::FashionMnist, demo::net::net, train::*};
use tch::{Device, nn, nn::OptimizerConfig};
fn main() {
    let full = FashionMnist::load("/tmp/fm/usr/share/datasets/fashion-mnist").unwrap();
    let (tr, te) = (full.train.first(12000), full.test.first(2000));
    tch::set_num_threads(std::env::var("T").unwrap().parse().unwrap());
    let t = |s: &str| std::env::var(s).ok().map(|x| x.parse::<f64>().unwrap());
    for seed in 0..std::env::var("SEEDS").unwrap_or("1".into()).parse().unwrap() {
        tch::manual_seed(seed);
        let vs = nn::VarStore::new(Device::Cpu);
        let n = net(&vs.root());
        let mut opt = nn::Sgd { momentum: 0.9, wd: 5e-4, nesterov: true, dampening: 0. }.build(&vs, 0.1).unwrap();
        let tn = Training {
            epochs: t("EPOCHS").unwrap_or(3.) as usize,
            batch_size: t("BATCH").unwrap_or(64.) as usize,
            schedule: Schedule::OneCycle(t("LR").unwrap_or(0.1)),
            seed: seed as u64,
        };
        let c = train(&n, &mut opt, &tr, &tn, 1, &mut |_| ());
        let s = std::time::Instant::now();
        let e = evaluate(&n, &te, 1000);
        println!(
            "train {:.1}s acc {:.4} loss {:.4} eval {:.2}s all {:.4}",
            c.seconds,
            e.accuracy,
            e.loss,
            s.elapsed().as_secs_f64(),
            evaluate(&n, &full.test, 1000).accuracy
        );
        for i in 0..t("FT").unwrap_or(4.) as u64 {
            let tn = Training {
                epochs: 1,
                batch_size: 64,
                schedule: Schedule::Cosine(t("FLR").unwrap_or(0.02)),
                seed: 10 + i,
            };
            let c = train(&n, &mut opt, &tr.first(6000), &tn, 1, &mut |_| ());
            let e = evaluate(&n, &te, 1000);
            println!(
                "  ft {:.1}s acc {:.4} loss {:.4} all {:.4} ",
                c.seconds,
                e.accuracy,
                e.loss,
                evaluate(&n, &full.test, 1000).accuracy
            );
        }
    }
}
