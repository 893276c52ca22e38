//! Prompts, letter by letter.
#![expect(clippy::unwrap_used, reason = "a test")]

use tlora_run::config::PromptSettings;
use tlora_run::{PromptTemplate, Rendered, Turn};

fn settings(template: &str) -> PromptSettings {
    PromptSettings {
        template: template.to_owned(),
        ..PromptSettings::default()
    }
}

fn render(settings: &PromptSettings, question: &str) -> Rendered {
    PromptTemplate::new(settings).unwrap().render(question)
}

fn user(content: &str) -> Turn {
    Turn {
        role: "user",
        content: content.to_owned(),
    }
}

#[test]
fn qwen_boxed_is_the_string_of_simplerl() {
    let wanted = r"<|im_start|>system
You are a helpful assistant.<|im_end|>
<|im_start|>user
What is 1 + 1?
Please reason step by step, and put your final answer within \boxed{}.<|im_end|>
<|im_start|>assistant
";
    let found = render(&settings("qwen-boxed"), "What is 1 + 1?");
    assert_eq!(found, Rendered::Text(wanted.to_owned()));
}

#[test]
fn gsm8k_hash_is_the_string_of_verl() {
    let wanted =
        "What is 1 + 1? Let's think step by step and output the final answer after \"####\".";
    let found = render(&settings("gsm8k-hash"), "What is 1 + 1?");
    assert_eq!(found, Rendered::Chat(vec![user(wanted)]));
}

#[test]
fn a_chat_has_a_system_turn_if_there_is_one_and_the_question_between_its_texts() {
    let mut settings = settings("chat");
    assert_eq!(render(&settings, "a?"), Rendered::Chat(vec![user("a?")]));
    settings.system = "Be brief.".to_owned();
    settings.prefix = "Q: ".to_owned();
    settings.suffix = "\nA number.".to_owned();
    let Rendered::Chat(turns) = render(&settings, "a?") else {
        panic!()
    };
    assert_eq!(turns[0].role, "system");
    assert_eq!(turns[0].content, "Be brief.");
    assert_eq!(turns[1], user("Q: a?\nA number."));
}

#[test]
fn plain_and_custom_templates_are_the_whole_prompt() {
    let plain = PromptSettings {
        suffix: " =".to_owned(),
        ..settings("plain")
    };
    assert_eq!(
        render(&plain, "1 + 1"),
        Rendered::Text("1 + 1 =".to_owned())
    );
    let custom = settings("Q: {question}\nA:");
    assert_eq!(
        render(&custom, "1 + 1"),
        Rendered::Text("Q: 1 + 1\nA:".to_owned())
    );
}

#[test]
fn a_question_that_looks_like_a_template_stays_as_it_is() {
    let found = render(&settings("Q: {question}"), "what is {question}?");
    assert_eq!(found, Rendered::Text("Q: what is {question}?".to_owned()));
}

#[test]
fn settings_that_a_template_does_not_have_are_refused() {
    let refused =
        |settings: &PromptSettings| PromptTemplate::new(settings).unwrap_err().to_string();
    for (template, key) in [
        ("plain", "system"),
        ("qwen-boxed", "system"),
        ("qwen-boxed", "prefix"),
        ("gsm8k-hash", "suffix"),
        ("Q: {question}", "suffix"),
    ] {
        let mut settings = settings(template);
        match key {
            "system" => settings.system = "x".to_owned(),
            "prefix" => settings.prefix = "x".to_owned(),
            _ => settings.suffix = "x".to_owned(),
        }
        assert_eq!(
            refused(&settings),
            format!("prompt.{key} is \"x\", wanted nothing with the template {template:?}")
        );
    }
    for template in ["", "no question", "{question} {question}"] {
        assert!(refused(&settings(template)).starts_with("prompt.template is "));
    }
    let twice = PromptSettings {
        suffix: "{question}".to_owned(),
        ..settings("chat")
    };
    assert!(refused(&twice).starts_with("prompt."));
    let stop = PromptSettings {
        stop: vec!["a".to_owned(), String::new()],
        ..settings("chat")
    };
    assert_eq!(
        refused(&stop),
        "prompt.stop is \"\", wanted texts that are not empty"
    );
}

#[test]
fn the_digest_is_the_one_that_python_finds() {
    let chat = PromptSettings {
        system: "Be brief.".to_owned(),
        stop: vec!["\n\n".to_owned(), "</s>".to_owned()],
        ..settings("chat")
    };
    let digest = |settings: &PromptSettings| {
        PromptTemplate::new(settings)
            .unwrap()
            .digest("{{ messages }}")
    };
    // From crates/run/tests/golden.py.
    assert_eq!(digest(&chat), CHAT);
    assert_eq!(digest(&settings("{question} =")), PLAIN);
    // The same prompt by other settings has the same digest.
    let suffix = PromptSettings {
        suffix: " =".to_owned(),
        ..settings("plain")
    };
    assert_eq!(digest(&suffix), PLAIN);
}

const CHAT: &str = "8f56b3c3a7c75f5c756d1088a66300645f386b052ecb24c02d13b8a7ef286593";
const PLAIN: &str = "3b145d8ebf074f4027b5cefbf6658362a172b872d7046bf60f21a87fe7545d35";

#[test]
fn everything_that_changes_a_prompt_changes_the_digest() {
    let mut all = vec![
        settings("chat"),
        settings("plain"),
        settings("gsm8k-hash"),
        settings("qwen-boxed"),
    ];
    let changes: [fn(&mut PromptSettings); 4] = [
        |settings| settings.system = "x".to_owned(),
        |settings| settings.prefix = "x".to_owned(),
        |settings| settings.suffix = "x".to_owned(),
        |settings| settings.stop.push("x".to_owned()),
    ];
    for change in changes {
        let mut settings = settings("chat");
        change(&mut settings);
        all.push(settings);
    }
    let template = |settings: &PromptSettings| PromptTemplate::new(settings).unwrap();
    let mut digests: Vec<String> = all
        .iter()
        .map(|settings| template(settings).digest("t"))
        .collect();
    digests.push(template(&settings("chat")).digest("another"));
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), all.len() + 1);
    // Without a chat the model's template says nothing.
    assert_eq!(
        template(&settings("plain")).digest("t"),
        template(&settings("plain")).digest("another")
    );
}
