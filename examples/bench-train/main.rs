//! How fast a training samples and updates at the shapes of Qwen2.5, with random weights made in memory: no download.
//!
//!     cargo run --release --example bench-train -- --shape 0.5b [--prompts 4 --samples 16 --prompt 128 --new 64] [--json]
//!     cargo run --release --features cuda --example bench-train -- --device cuda --shape 0.5b --shape 7b --samples 64
//!
//! Prints for each shape the tokens a second of sampling and of the update, and what share that is of two bounds that are
//! measured first: the bytes that the device moves in a second, and the products that it computes. A step of decoding has to
//! read the weights and the keys and values; an update has to compute every layer twice forward and once backward, and the
//! head once each way. `benches/shapes_vs_peft.py` runs transformers with PEFT's TinyLoRA at the same shapes.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod bounds;
mod place;
mod shapes;

use clap::Parser;
use serde::Serialize;
use std::time::Instant;
use tlora_model::{
    Compute, Decoder, Generator, Learner, ModelConfig, ModelError, PromptGroup, RandomModel,
    Request, RunSizes, Sampling, Steering,
};

use bounds::Bounds;
use place::{Dtype, Place};
use shapes::{Shape, attention, cache_bytes, head, number, projections};

/// Time sampling and updates at the shapes of Qwen2.5
#[derive(Parser)]
struct Arguments {
    /// The shape; may be repeated
    #[arg(long, default_values = ["0.5b"])]
    shape: Vec<Shape>,
    /// Prompts of a step
    #[arg(long, default_value_t = 4)]
    prompts: usize,
    /// Samples of each prompt; all samples run at once
    #[arg(long, default_value_t = 16)]
    samples: usize,
    /// Tokens of a prompt
    #[arg(long, default_value_t = 128)]
    prompt: usize,
    /// Tokens of a sample
    #[arg(long, default_value_t = 64)]
    new: usize,
    /// Tokens of an update that are computed at once; 0 is all
    #[arg(long, default_value_t = 0)]
    micro_batch: usize,
    /// Where it runs
    #[arg(long, default_value = "cpu")]
    device: Place,
    /// The type of weights, keys and values on a GPU; a CPU has float32
    #[arg(long, default_value = "bfloat16")]
    dtype: Dtype,
    /// Threads; 0 is all
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Serialize)]
struct Found {
    device: String,
    #[serde(flatten)]
    bounds: Bounds,
    shapes: Vec<Measured>,
}

/// What was measured of one shape.
#[derive(Serialize)]
struct Measured {
    shape: String,
    weights_bytes: usize,
    rollout: Phase,
    update: Phase,
    planned_bytes: usize,
    peak_bytes: Option<usize>,
}

/// One half of a step.
#[derive(Serialize)]
struct Phase {
    seconds: f64,
    /// Drawn tokens, or computed ones.
    tokens: usize,
    tokens_per_second: f64,
    /// The time that reading the bytes takes at best, over the time that it took.
    share_of_bytes: Option<f64>,
    /// The time that the operations take at best, over the time that it took.
    share_of_operations: f64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    rayon::ThreadPoolBuilder::new()
        .num_threads(arguments.threads)
        .build_global()?;
    if arguments.new < 2 {
        return Err("--new is the number of tokens after the prompt, of which the first is not timed: at least 2".into());
    }
    let compute = arguments.device.compute(arguments.dtype)?;
    let bounds = Bounds::measure(&compute)?;
    let shapes = arguments.shape.iter();
    let shapes = shapes
        .map(|&shape| measure(shape, &compute, &arguments, &bounds))
        .collect::<Result<_, _>>()?;
    let found = Found {
        device: place::name(&compute),
        bounds,
        shapes,
    };
    if arguments.json {
        println!("{}", serde_json::to_string(&found)?);
    } else {
        print_table(&found);
    }
    Ok(())
}

fn measure(
    shape: Shape,
    compute: &Compute,
    sizes: &Arguments,
    bounds: &Bounds,
) -> Result<Measured, ModelError> {
    let model = RandomModel {
        config: shape.config(),
        rank: 2,
        u: 13,
        seed: 1,
    };
    place::forget_peak(compute);
    let (decoder, projections) = model.make(compute.clone(), |_| ())?;
    let steering = projections.steering(&[0.01; 13]);
    let vocabulary = model.config.vocabulary;
    let prompts: Vec<Vec<u32>> = (0..sizes.prompts)
        .map(|row| arbitrary(row, sizes.prompt, vocabulary))
        .collect();
    let number_bytes = place::cache_number(compute);
    let rollout = rollout(&decoder, &steering, &prompts, sizes, bounds, number_bytes)?;
    let learner = Learner::new(&decoder, &projections);
    let (update, micro_batch) =
        update(&learner, &model.config, &steering, &prompts, sizes, bounds)?;
    let plan = decoder.memory_plan(RunSizes {
        slots: sizes.prompts * sizes.samples,
        prompt: sizes.prompt,
        completion: sizes.new,
        samples: sizes.samples,
        micro_batch,
    });
    Ok(Measured {
        shape: shape.name(),
        weights_bytes: decoder.bytes(),
        rollout,
        update,
        planned_bytes: plan.peak(),
        peak_bytes: place::peak(compute),
    })
}

/// Decodes all samples at once; only steps in which all of them run and no prompt is computed count.
fn rollout(
    decoder: &Decoder,
    steering: &Steering,
    prompts: &[Vec<u32>],
    sizes: &Arguments,
    bounds: &Bounds,
    number_bytes: usize,
) -> Result<Phase, ModelError> {
    let requests: Vec<Request<'_>> = prompts
        .iter()
        .map(|prompt| Request {
            id: "",
            prompt,
            samples: sizes.samples,
            adapter: 0,
        })
        .collect();
    let running = sizes.prompts * sizes.samples;
    let sampling = Sampling {
        temperature: 1.0,
        ..Sampling::greedy(sizes.new, Vec::new())
    };
    let (mut before, mut seconds, mut tokens) = (None, 0.0, 0);
    Generator::new(decoder, running).generate(&requests, &sampling, Some(steering), |drawn| {
        if let Some(before) = before.filter(|_| drawn == running) {
            seconds += Instant::elapsed(&before).as_secs_f64();
            tokens += drawn;
        }
        before = (drawn >= running).then(Instant::now);
    })?;
    let config = decoder.config();
    let keys = number(sizes.prompt) + number(sizes.new) / 2.0;
    // A prompt's keys are read for each of its samples: no kernel here keeps them in between.
    let cache = number(running) * keys * cache_bytes(config, number_bytes);
    let embedding = if config.tied { 0.0 } else { 2.0 * head(config) };
    let bytes = number(decoder.bytes()) - embedding + cache;
    let operations = 2.0 * (projections(config) + head(config)) + attention(config, keys);
    Ok(Phase {
        seconds,
        tokens,
        tokens_per_second: number(tokens) / seconds,
        share_of_bytes: Some(bytes * number(tokens / running) / bounds.bytes / seconds),
        share_of_operations: operations * number(tokens) / bounds.operations / seconds,
    })
}

/// The gradient of v over all samples, twice; the second one counts. Gives the tokens of the largest micro-batch too.
fn update(
    learner: &Learner<'_>,
    config: &ModelConfig,
    steering: &Steering,
    prompts: &[Vec<u32>],
    sizes: &Arguments,
    bounds: &Bounds,
) -> Result<(Phase, usize), ModelError> {
    let samples: Vec<Vec<u32>> = (0..sizes.samples)
        .map(|row| arbitrary(1000 + row, sizes.new, config.vocabulary))
        .collect();
    let groups: Vec<PromptGroup<'_>> = prompts
        .iter()
        .map(|prompt| PromptGroup {
            prompt,
            completions: samples.iter().map(Vec::as_slice).collect(),
        })
        .collect();
    let lots = micro_batches(&groups, sizes.micro_batch);
    let mut seconds = 0.0;
    for _ in 0..2 {
        let start = Instant::now();
        for groups in &lots {
            let (_, gradient) = learner.gradient(groups, steering, 1.0, |scores| {
                scores.iter().map(|s| vec![1.0; s.len()]).collect()
            })?;
            std::hint::black_box(learner.v_gradient(&gradient));
        }
        seconds = start.elapsed().as_secs_f64();
    }
    let count = |groups: &[PromptGroup<'_>]| groups.iter().map(PromptGroup::tokens).sum::<usize>();
    let tokens = count(&groups);
    let largest = lots.iter().map(|groups| count(groups)).max();
    let scored = number(sizes.prompts * sizes.samples * sizes.new);
    let keys = number(sizes.prompt) + number(sizes.new) / 2.0;
    // Forward, again, and the gradient of the inputs; attention's way back has five products where the way there has two.
    let layers = 6.0 * projections(config) + 4.5 * attention(config, keys);
    let operations = layers * number(tokens) + 4.0 * head(config) * scored;
    let phase = Phase {
        seconds,
        tokens,
        tokens_per_second: number(tokens) / seconds,
        share_of_bytes: None,
        share_of_operations: operations / bounds.operations / seconds,
    };
    Ok((phase, largest.unwrap_or(0)))
}

/// Groups that are computed together: as many as have at most `tokens` tokens, one at least; all for 0.
fn micro_batches<'g, 'a>(
    groups: &'g [PromptGroup<'a>],
    tokens: usize,
) -> Vec<&'g [PromptGroup<'a>]> {
    let most = groups.iter().map(PromptGroup::tokens).max().unwrap_or(1);
    let together = if tokens == 0 {
        groups.len()
    } else {
        (tokens / most).max(1)
    };
    groups.chunks(together.max(1)).collect()
}

/// Tokens that mean nothing, different in every row.
fn arbitrary(row: usize, count: usize, vocabulary: usize) -> Vec<u32> {
    let token = |at: usize| u32::try_from((row * 131 + at * 17) % vocabulary).unwrap_or(0);
    (0..count).map(token).collect()
}

fn print_table(found: &Found) {
    println!(
        "{}: moves {:.1} GB/s, multiplies {:.0} GFLOP/s",
        found.device,
        found.bounds.bytes / 1e9,
        found.bounds.operations / 1e9
    );
    println!(
        "shape  weights    sampling tok/s  of bytes  of products  update tok/s  of products  memory: plan    peak"
    );
    for m in &found.shapes {
        println!(
            "{:5} {:6.2} GB {:16.1} {:7.0} % {:10.0} % {:13.1} {:10.0} % {:10.2} GB {}",
            m.shape,
            number(m.weights_bytes) / 1e9,
            m.rollout.tokens_per_second,
            100.0 * m.rollout.share_of_bytes.unwrap_or_default(),
            100.0 * m.rollout.share_of_operations,
            m.update.tokens_per_second,
            100.0 * m.update.share_of_operations,
            number(m.planned_bytes) / 1e9,
            m.peak_bytes.map_or_else(
                || "unknown".to_owned(),
                |bytes| format!("{:.2} GB", number(bytes) / 1e9)
            ),
        );
    }
}
