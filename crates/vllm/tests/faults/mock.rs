//! A server that answers as vLLM 0.32.0 was seen to, from numbers that a test can foretell.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::given::{foretold, scored};

/// What happens to a request for a completion.
#[derive(Clone)]
pub(crate) enum Reaction {
    /// A sample.
    Sample,
    /// A status with what vLLM says.
    Say(u16, &'static str),
    /// A whole body that ends in the middle of its JSON.
    TruncatedJson,
    /// A body that ends before its length.
    Reset,
    /// A sample, after a while.
    Slow(Duration),
    /// A sample, changed.
    Change(fn(&mut Value)),
}

/// What a server is.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) version: bool,
    pub(crate) model: &'static str,
    pub(crate) engines: usize,
    pub(crate) lora: bool,
    pub(crate) updating: bool,
    pub(crate) developer: bool,
    pub(crate) max_lora_rank: u64,
    pub(crate) processed: bool,
    /// Loading says "success" and does nothing.
    pub(crate) deaf: bool,
    /// Loading lists the adapter, which has no effect.
    pub(crate) silent: bool,
    pub(crate) refuses: Option<(u16, &'static str)>,
    pub(crate) key: Option<&'static str>,
    /// The engine dies with this many samples drawn.
    pub(crate) lives: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            version: true,
            model: "base",
            engines: 1,
            lora: true,
            updating: true,
            developer: false,
            max_lora_rank: 8,
            processed: false,
            deaf: false,
            silent: false,
            refuses: None,
            key: None,
            lives: usize::MAX,
        }
    }
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) dead: bool,
    pub(crate) drawn: usize,
    pub(crate) adapters: BTreeMap<String, String>,
    pub(crate) reactions: VecDeque<Reaction>,
    /// Paths and bodies, in the order of their arrival.
    pub(crate) log: Vec<(String, Value)>,
}

pub(crate) struct Mock {
    pub(crate) url: String,
    pub(crate) setup: Arc<Mutex<Setup>>,
    pub(crate) state: Arc<Mutex<State>>,
}

impl Mock {
    pub(crate) fn new(setup: Setup) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let setup = Arc::new(Mutex::new(setup));
        let state = Arc::new(Mutex::new(State::default()));
        let shared = (Arc::clone(&setup), Arc::clone(&state));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (setup, state) = (Arc::clone(&shared.0), Arc::clone(&shared.1));
                // A client that has seen enough is no fault of ours.
                thread::spawn(move || serve(stream.unwrap(), &setup, &state).ok());
            }
        });
        Self { url, setup, state }
    }

    pub(crate) fn react(&self, reactions: impl IntoIterator<Item = Reaction>) {
        self.state.lock().unwrap().reactions.extend(reactions);
    }

    pub(crate) fn kill(&self) {
        self.state.lock().unwrap().dead = true;
    }

    /// A new process at the old address: nothing is loaded.
    pub(crate) fn restart(&self) {
        *self.state.lock().unwrap() = State::default();
    }

    pub(crate) fn adapters(&self) -> Vec<String> {
        self.state
            .lock()
            .unwrap()
            .adapters
            .keys()
            .cloned()
            .collect()
    }

    /// The bodies of the requests to a path.
    pub(crate) fn asked(&self, path: &str) -> Vec<Value> {
        let state = self.state.lock().unwrap();
        let log = state.log.iter().filter(|(asked, _)| asked == path);
        log.map(|(_, body)| body.clone()).collect()
    }
}

fn serve(mut stream: TcpStream, setup: &Mutex<Setup>, state: &Mutex<State>) -> std::io::Result<()> {
    let (head, body) = read(&stream)?;
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let setup = setup.lock().unwrap().clone();
    let reaction = {
        let mut state = state.lock().unwrap();
        if state.dead {
            return Ok(());
        }
        state.log.push((path.clone(), body.clone()));
        if path == "/v1/completions" {
            state.reactions.pop_front().unwrap_or(Reaction::Sample)
        } else {
            Reaction::Sample
        }
    };
    let key = setup.key.map(|key| format!("authorization: bearer {key}"));
    let allowed = key.is_none_or(|key| head.to_lowercase().contains(&key));
    let (status, text) = if path.starts_with("/v1") && !allowed {
        (401, json!({"error": "Unauthorized"}).to_string())
    } else {
        answer(&path, &body, &setup, state)
    };
    if state.lock().unwrap().dead {
        return Ok(());
    }
    respond(&mut stream, &reaction, status, text)
}

fn respond(
    stream: &mut TcpStream,
    reaction: &Reaction,
    mut status: u16,
    mut text: String,
) -> std::io::Result<()> {
    let mut length = text.len();
    match reaction {
        Reaction::Sample => {}
        Reaction::Say(code, message) => {
            status = *code;
            text = error(*code, message);
            length = text.len();
        }
        Reaction::TruncatedJson => {
            text.truncate(text.len() / 2);
            length = text.len();
        }
        Reaction::Reset => text.truncate(text.len() / 2),
        Reaction::Slow(time) => thread::sleep(*time),
        Reaction::Change(change) => {
            let mut value: Value = serde_json::from_str(&text).unwrap();
            change(&mut value);
            text = value.to_string();
            length = text.len();
        }
    }
    write!(
        stream,
        "HTTP/1.1 {status} Said\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{text}"
    )
}

fn read(stream: &TcpStream) -> std::io::Result<(String, Value)> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let lower = head.to_lowercase();
    let length = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    reader.read_exact(&mut body)?;
    Ok((head, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

fn error(code: u16, message: &str) -> String {
    json!({"error": {"message": message, "type": "Error", "param": null, "code": code}}).to_string()
}

fn answer(path: &str, body: &Value, setup: &Setup, state: &Mutex<State>) -> (u16, String) {
    let absent = || (404, json!({"detail": "Not Found"}).to_string());
    let done = || (200, json!({}).to_string());
    match path {
        "/health" => done(),
        "/version" if setup.version => (200, json!({"version": "0.32.0"}).to_string()),
        "/metrics" => (200, metrics(setup)),
        "/v1/models" => (200, models(setup, &state.lock().unwrap())),
        "/v1/completions" => completion(body, setup, &mut state.lock().unwrap()),
        "/v1/load_lora_adapter" if setup.updating => load(body, setup, &mut state.lock().unwrap()),
        "/v1/unload_lora_adapter" if setup.updating => {
            let name = body["lora_name"].as_str().unwrap();
            match state.lock().unwrap().adapters.remove(name) {
                Some(_) => (
                    200,
                    format!("Success: LoRA adapter '{name}' removed successfully."),
                ),
                None => (
                    404,
                    error(404, &format!("The lora adapter '{name}' cannot be found.")),
                ),
            }
        }
        "/server_info?config_format=json" if setup.developer => {
            let lora = setup
                .lora
                .then(|| json!({"max_lora_rank": setup.max_lora_rank}));
            let parallel = json!({"data_parallel_size": setup.engines});
            let config = json!({"parallel_config": parallel, "lora_config": lora});
            (
                200,
                json!({"vllm_config": config, "vllm_env": {}, "system_env": {}}).to_string(),
            )
        }
        "/pause?mode=keep" | "/resume" | "/reset_prefix_cache" if setup.developer => done(),
        "/collective_rpc" if setup.developer => match setup.refuses {
            Some((code, message)) => (code, error(code, message)),
            None => (200, json!({"results": [null]}).to_string()),
        },
        _ => absent(),
    }
}

fn metrics(setup: &Setup) -> String {
    let mut text = "# HELP vllm:num_requests_running Number of requests\n".to_owned();
    for engine in 0..setup.engines {
        text +=
            &format!("vllm:num_requests_running{{engine=\"{engine}\",model_name=\"base\"}} 0.0\n");
    }
    text
}

fn models(setup: &Setup, state: &State) -> String {
    let mut data = vec![
        json!({"id": setup.model, "object": "model", "root": "/models/base", "parent": null, "max_model_len": 512}),
    ];
    data.extend(state.adapters.iter().map(
        |(name, path)| json!({"id": name, "object": "model", "root": path, "parent": setup.model}),
    ));
    json!({"object": "list", "data": data}).to_string()
}

fn load(body: &Value, setup: &Setup, state: &mut State) -> (u16, String) {
    assert_eq!(body["load_inplace"], false);
    let name = body["lora_name"].as_str().unwrap();
    let path = body["lora_path"].as_str().unwrap();
    if state.adapters.contains_key(name) {
        return (
            400,
            error(
                400,
                &format!("The lora adapter '{name}' has already been loaded."),
            ),
        );
    }
    if !setup.lora {
        return (
            500,
            error(
                500,
                "LoRA is not enabled. Use --enable-lora to enable LoRA.",
            ),
        );
    }
    if !std::path::Path::new(path).exists() {
        return (
            404,
            error(
                404,
                &format!("Loading lora {name} failed: No adapter found for {path}"),
            ),
        );
    }
    if let Some((code, message)) = setup.refuses {
        return (code, error(code, message));
    }
    if !setup.deaf {
        state.adapters.insert(name.to_owned(), path.to_owned());
    }
    (
        200,
        format!("Success: LoRA adapter '{name}' added successfully."),
    )
}

fn completion(body: &Value, setup: &Setup, state: &mut State) -> (u16, String) {
    let model = body["model"].as_str().unwrap();
    if model != setup.model && !state.adapters.contains_key(model) {
        return (
            404,
            error(404, &format!("The model `{model}` does not exist.")),
        );
    }
    assert_eq!(
        (&body["n"], &body["return_token_ids"]),
        (&json!(1), &json!(true))
    );
    let prompt: Vec<u32> = serde_json::from_value(body["prompt"].clone()).unwrap();
    if body.get("prompt_logprobs").is_some() {
        return (200, scored(model, &prompt, setup));
    }
    if state.drawn >= setup.lives {
        state.dead = true;
    }
    state.drawn += 1;
    for field in [
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "repetition_penalty",
        "seed",
        "stop_token_ids",
    ] {
        assert!(!body[field].is_null(), "{field}");
    }
    let most = usize::try_from(body["max_tokens"].as_u64().unwrap()).unwrap();
    let sample = foretold(&prompt, body["seed"].as_u64().unwrap(), most);
    let certain = setup.processed && body["top_k"] == 1;
    let log_probs: Vec<f32> = sample
        .log_probs
        .iter()
        .map(|value| if certain { 0.0 } else { *value })
        .collect();
    let choice = json!({
        "index": 0, "text": "…", "token_ids": sample.tokens, "prompt_token_ids": prompt,
        "finish_reason": if sample.truncated { "length" } else { "stop" }, "stop_reason": null,
        "logprobs": {"tokens": [], "token_logprobs": log_probs, "top_logprobs": [], "text_offset": []},
        "prompt_logprobs": null,
    });
    let usage = json!({"prompt_tokens": prompt.len(), "completion_tokens": sample.tokens.len()});
    let answer = json!({"id": "cmpl-1", "object": "text_completion", "model": model, "choices": [choice], "usage": usage});
    (200, answer.to_string())
}
