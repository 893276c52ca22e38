//! Chats as text and as tokens, for comparisons with other programs.
//!
//!     cargo run --release -p tlora-model --example chat -- MODEL CHATS.json
//!
//! CHATS.json is `[[{"role": …, "content": …}, …], …]`; prints `[{"text": …, "ids": […]}, …]`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program for developers"
)]

use serde::Deserialize;
use tlora_checkpoint::Checkpoint;
use tlora_model::{Message, Tokenizer};

#[derive(Deserialize)]
struct Turn {
    role: String,
    content: String,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, chats] = arguments.as_slice() else {
        panic!("wanted: MODEL CHATS.json")
    };
    let chats: Vec<Vec<Turn>> = serde_json::from_slice(&fs_err::read(chats).unwrap()).unwrap();
    let tokenizer = Tokenizer::read(&Checkpoint::open(model).unwrap()).unwrap();
    let rendered: Vec<serde_json::Value> = chats
        .iter()
        .map(|chat| {
            let messages: Vec<Message> = chat
                .iter()
                .map(|turn| Message::new(&turn.role, &turn.content))
                .collect();
            let text = tokenizer.chat(&messages).unwrap();
            let ids = tokenizer.encode(&text).unwrap();
            serde_json::json!({ "text": text, "ids": ids })
        })
        .collect();
    println!("{}", serde_json::Value::from(rendered));
}
