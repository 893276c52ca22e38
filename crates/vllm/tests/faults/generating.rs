//! Samples of a step from many servers: each exactly once, in order, whatever dies.

use std::collections::BTreeSet;
use std::time::Duration;

use tlora_vllm::{Fleet, GenerateError, Generated, Prompt, Sampling, Version};

use crate::given::{all, fleet, need, prompts, sampling, settings};
use crate::mock::{Mock, Reaction, Setup};

fn seeds(mock: &Mock) -> Vec<u64> {
    let asked = mock.asked("/v1/completions");
    asked
        .iter()
        .map(|body| body["seed"].as_u64().unwrap())
        .collect()
}

/// Everything is there once, and was told once.
fn whole(mocks: &[&Mock], prompts: &[Prompt]) -> Generated {
    let mut fleet = fleet(mocks);
    let mut told = Vec::new();
    let generated = fleet
        .generate(
            prompts,
            &sampling(),
            Version::Base,
            &mut |group, samples| {
                told.push(group);
                assert_eq!(samples, all(prompts)[group]);
            },
        )
        .unwrap();
    assert_eq!(generated.samples, all(prompts));
    told.sort_unstable();
    assert_eq!(told, (0..prompts.len()).collect::<Vec<_>>());
    let samples: usize = generated.servers.iter().map(|server| server.samples).sum();
    assert_eq!(
        samples,
        prompts
            .iter()
            .map(|prompt| prompt.seeds.len())
            .sum::<usize>()
    );
    generated
}

#[test]
fn samples_come_in_the_order_of_prompts_and_seeds() {
    let (a, b) = (Mock::new(Setup::default()), Mock::new(Setup::default()));
    a.react([Reaction::Slow(Duration::from_millis(150))]);
    let prompts = prompts(9, 5);
    let generated = whole(&[&a, &b], &prompts);
    assert_eq!(generated.version, Version::Base);
    let tokens: usize = generated.servers.iter().map(|server| server.tokens).sum();
    let wanted: usize = generated
        .samples
        .iter()
        .flatten()
        .map(|sample| sample.tokens.len())
        .sum();
    assert_eq!(tokens, wanted);
    // Every seed once, and every prompt at one server.
    let (at_a, at_b) = (seeds(&a), seeds(&b));
    let mut asked = [at_a.clone(), at_b.clone()].concat();
    asked.sort_unstable();
    let mut wanted: Vec<u64> = prompts
        .iter()
        .flat_map(|prompt| prompt.seeds.clone())
        .collect();
    wanted.sort_unstable();
    assert_eq!(asked, wanted);
    for prompt in &prompts {
        let there = prompt
            .seeds
            .iter()
            .filter(|seed| at_a.contains(seed))
            .count();
        assert!(
            there == 0 || there == 5,
            "{} has {there} samples at one server",
            prompt.id
        );
    }
    assert!(!at_a.is_empty() && !at_b.is_empty());
}

#[test]
fn broken_answers_lose_nothing() {
    let mock = Mock::new(Setup::default());
    mock.react([
        Reaction::Say(500, "x"),
        Reaction::TruncatedJson,
        Reaction::Reset,
        Reaction::Say(503, "x"),
    ]);
    let generated = whole(&[&mock], &prompts(4, 3));
    assert_eq!(
        (generated.servers[0].retries, generated.servers[0].requests),
        (4, 16)
    );
    assert_eq!(generated.servers[0].lost, None);
}

#[test]
fn a_server_that_dies_has_its_prompts_drawn_by_the_other() {
    let mortal = Mock::new(Setup {
        lives: 7,
        ..Setup::default()
    });
    let other = Mock::new(Setup::default());
    let prompts = prompts(12, 4);
    let generated = whole(&[&mortal, &other], &prompts);
    assert_eq!(
        generated.servers[0].samples + generated.servers[1].samples,
        48
    );
    assert!(generated.servers[0].samples <= 7);
    let lost = generated.servers[0].lost.clone().unwrap();
    assert!(
        lost.contains("gave no whole answer to /v1/completions"),
        "{lost}"
    );
    assert_eq!(generated.servers[1].lost, None);
    let asked = BTreeSet::from_iter([seeds(&mortal), seeds(&other)].concat());
    assert_eq!(
        asked,
        prompts
            .iter()
            .flat_map(|prompt| prompt.seeds.clone())
            .collect()
    );
}

#[test]
fn a_lost_server_is_not_asked_in_the_next_step() {
    let (mortal, other) = (Mock::new(Setup::default()), Mock::new(Setup::default()));
    let mut fleet = fleet(&[&mortal, &other]);
    mortal.kill();
    let prompts = prompts(4, 2);
    fleet
        .generate(&prompts, &sampling(), Version::Base, &mut |_, _| {})
        .unwrap();
    assert_eq!(fleet.lost().count(), 1);
    mortal.restart();
    let generated = fleet
        .generate(&prompts, &sampling(), Version::Base, &mut |_, _| {})
        .unwrap();
    assert_eq!(generated.samples, all(&prompts));
    assert!(seeds(&mortal).is_empty());
}

#[test]
fn a_server_that_came_back_without_the_adapter_is_given_up() {
    let (a, b) = (Mock::new(Setup::default()), Mock::new(Setup::default()));
    let mut fleet = fleet(&[&a, &b]);
    let directory = crate::publishing::adapter();
    fleet.publish(3, directory.path()).unwrap();
    a.restart();
    let prompts = prompts(6, 2);
    let generated = fleet
        .generate(&prompts, &sampling(), Version::Step(3), &mut |_, _| {})
        .unwrap();
    assert_eq!(generated.samples, all(&prompts));
    let lost = generated.servers[0].lost.clone().unwrap();
    assert!(lost.contains("does not serve \"run-v3\""), "{lost}");
}

#[test]
fn a_server_that_hangs_has_its_prompts_drawn_by_the_other() {
    let (a, b) = (Mock::new(Setup::default()), Mock::new(Setup::default()));
    let mut settings = settings(&[&a, &b]);
    settings.connect.sample_timeout = Duration::from_secs(2);
    let mut fleet = Fleet::connect(&settings, &need()).unwrap().0;
    a.react(vec![Reaction::Slow(Duration::from_secs(20)); 100]);
    let prompts = prompts(6, 3);
    let generated = fleet
        .generate(&prompts, &sampling(), Version::Base, &mut |_, _| {})
        .unwrap();
    assert_eq!(generated.samples, all(&prompts));
    let lost = generated.servers[0].lost.clone().unwrap();
    assert!(
        lost.ends_with("gave no answer to /v1/completions within 2 s"),
        "{lost}"
    );
}

#[test]
fn all_down_says_what_to_do() {
    let (a, b) = (Mock::new(Setup::default()), Mock::new(Setup::default()));
    let mut fleet = fleet(&[&a, &b]);
    a.kill();
    b.kill();
    for _ in 0..2 {
        let error = fleet
            .generate(&prompts(4, 2), &sampling(), Version::Base, &mut |_, _| {})
            .unwrap_err();
        let GenerateError::AllDown { faults } = &error else {
            panic!("{error}")
        };
        assert_eq!(faults.len(), 2);
        let text = error.to_string();
        assert!(
            text.contains("start the servers again, then resume"),
            "{text}"
        );
        assert!(text.contains(&a.url) && text.contains(&b.url), "{text}");
    }
}

#[test]
fn an_answer_that_cannot_be_used_ends_the_step() {
    let (a, b) = (Mock::new(Setup::default()), Mock::new(Setup::default()));
    a.react([Reaction::Change(|answer| {
        answer["choices"][0]["logprobs"] = serde_json::Value::Null;
    })]);
    let mut fleet = fleet(&[&a, &b]);
    let error = fleet
        .generate(&prompts(4, 2), &sampling(), Version::Base, &mut |_, _| {})
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the vLLM server {} gave no log-probabilities", a.url)
    );
    // It was not the servers' end.
    assert_eq!(fleet.lost().count(), 0);
}

#[test]
fn requests_are_checked_before_they_are_sent() {
    let mock = Mock::new(Setup::default());
    let mut fleet = fleet(&[&mock]);
    let mut text = |prompts: &[Prompt], sampling: &Sampling, version| {
        let error = fleet
            .generate(prompts, sampling, version, &mut |_, _| {})
            .unwrap_err();
        error.to_string()
    };
    let good = prompts(1, 2);
    let hot = Sampling {
        temperature: 0.6,
        ..sampling()
    };
    assert!(text(&good, &hot, Version::Base).ends_with("--logprobs-mode processed_logprobs"));
    assert_eq!(
        text(&good, &sampling(), Version::Step(9)),
        "no server has step 9; publish it first"
    );
    let mut long = good.clone();
    long[0].tokens = vec![1; 507];
    let wanted = "the prompt of \"problem 0\" has 507 tokens; with 6 new ones that is more than the servers' 512 (--max-model-len)";
    assert_eq!(text(&long, &sampling(), Version::Base), wanted);
    for seeds in [vec![1, 1], vec![1 << 63]] {
        let mut twins = good.clone();
        twins[0].seeds = seeds;
        assert!(text(&twins, &sampling(), Version::Base).contains("seeds that are equal"));
    }
    assert!(seeds(&mock).is_empty());
    let unscored = Sampling {
        scored: false,
        ..hot
    };
    fleet
        .generate(&good, &unscored, Version::Base, &mut |_, _| {})
        .unwrap();
}
