//! Temporary.
use acteon_core::{Action, decode};
use acteon_rules::*;
use std::hint::black_box;
use std::time::Instant;
fn action(i: usize) -> Action {
    let items: Vec<_> = (0..12)
        .map(|k| {
            format!(
                "{{\"sku\":\"item-{k}-{i}\",\"count\":{k},\"price\":{}.25}}",
                k * 7
            )
        })
        .collect();
    let payload = format!(
        "{{\"order_id\":\"o-{i}\",\"amount\":{},\"currency\":\"EUR\",\"customer\":{{\"name\":\"Jane Doe\",\"email\":\"jane@example.org\",\"tier\":\"gold\"}},\"items\":[{}],\"note\":\"please deliver to the back door, and ring the bell twice; the dog is friendly\",\"tags\":[\"urgent\",\"retail\"],\"retries\":0}}",
        i % 1000,
        items.join(",")
    );
    let msg = format!(
        "{{\"id\":\"id-{i}\",\"namespace\":\"shop\",\"tenant\":\"t{}\",\"provider\":\"mail\",\"action_type\":\"order.created\",\"payload\":{payload},\"metadata\":{{\"env\":\"prod\"}}}}",
        i % 100
    );
    decode::decode(&msg.into())
        .unwrap()
        .complete(
            &Default::default(),
            || unreachable!(),
            "2026-01-01T00:00:00Z".parse().unwrap(),
        )
        .unwrap()
}
fn compile(rules: String) -> RuleSet {
    let files: Vec<_> = rules
        .lines()
        .collect::<Vec<_>>()
        .chunks(2000)
        .enumerate()
        .map(|(i, c)| RuleFile {
            name: format!("{i}.yaml"),
            text: format!("rules:\n{}", c.join("\n")),
        })
        .collect();
    match RuleSet::compile(&files, &Settings::default()) {
        Ok(s) => s,
        Err(p) => panic!("{}", p[0]),
    }
}
fn time(name: &str, set: &RuleSet, actions: &[Action]) {
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    if std::env::args().nth(1).is_some_and(|a| a != name) {
        return;
    }
    let rounds = if std::env::args().nth(1).is_some() {
        1000
    } else {
        20
    };
    let mut best = f64::MAX;
    let mut hits = 0;
    for _ in 0..rounds {
        let t = Instant::now();
        hits = 0;
        for a in actions {
            hits += usize::from(
                black_box(set.decide(black_box(a), now))
                    .matched_rule
                    .is_some(),
            );
        }
        best = best.min(t.elapsed().as_nanos() as f64 / actions.len() as f64);
    }
    println!("{name}: {best:.0} ns ({hits} matched)");
}
fn main() {
    let actions: Vec<_> = (0..2000).map(action).collect();
    println!("payload {} bytes", actions[0].payload.len());
    time("none", &RuleSet::empty(), &actions);
    let fields: String = (0..10).map(|i| format!("- {{name: r{i}, condition: {{all: [{{field: action.action_type, eq: order.created}}, {{field: action.metadata.env, eq: stage{i}}}]}}, action: {{type: suppress}}}}\n")).collect();
    time("10 label rules", &compile(fields), &actions);
    let payload = |prefix: &str, i: usize, extra: &str| {
        format!(
            "- {{name: {prefix}{i}, condition: {{all: [{extra}{{field: action.payload.{}, {}}}]}}, action: {{type: suppress}}}}\n",
            [
                "amount",
                "customer.tier",
                "currency",
                "note",
                "tags",
                "retries",
                "items.3.price",
                "customer.email",
                "missing",
                "order_id"
            ][i % 10],
            [
                "gt: 5000",
                "eq: silver",
                "in: [USD, GBP]",
                "contains: xyzzy",
                "contains: none",
                "gte: 3",
                "gt: 1000",
                "ends_with: '.net'",
                "exists: true",
                "matches: '^x-\\d+$'"
            ][i % 10]
        )
    };
    let ten: String = (0..10).map(|i| payload("r", i, "")).collect();
    time("10 payload rules", &compile(ten.clone()), &actions);
    let one: String = payload("r", 0, "");
    time("1 payload rule", &compile(one), &actions);
    for n in [100, 1000, 10000] {
        let tenants = n / 10;
        let many: String = (0..n)
            .map(|i| {
                payload(
                    "r",
                    i,
                    &format!("{{field: action.tenant, eq: t{}}}, ", i / 10 % tenants),
                )
            })
            .collect();
        let set = compile(many);
        let of: Vec<_> = actions
            .iter()
            .map(|a| {
                let mut a = a.clone();
                let n: usize = a.tenant[1..].parse().unwrap();
                a.tenant = format!("t{}", n % tenants).into();
                a
            })
            .collect();
        time(&format!("{n} indexed rules"), &set, &of);
    }
    let many: String = (0..10000).map(|i| payload("r", i, "")).collect();
    time("10000 unindexed rules", &compile(many), &actions);
    let dedup = ten
        + "- {name: dd, condition: {all: []}, action: {type: dedup, key: [payload.order_id]}}\n";
    time("10 payload rules and dedup", &compile(dedup), &actions);
    let modify = "- {name: m, condition: {all: []}, action: {type: modify, changes: {x: '{{ action.payload.order_id }}'}}}\n";
    time("modify", &compile(modify.into()), &actions);
}
