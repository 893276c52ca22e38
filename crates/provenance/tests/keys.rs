//! Keys as OpenSSL and the `cryptography` package write them; `fixtures/make.py` made the files.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};

use tlora_provenance::{KeyError, KeyType, PrivateKey, PublicKey};

const PASSPHRASE: &[u8] = b"correct horse";

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/keys")
        .join(name);
    fs_err::read_to_string(path).unwrap()
}

#[test]
fn reads_every_form_of_a_key_as_the_same_key() {
    let public = PublicKey::from_pem(&fixture("p256.pub")).unwrap();
    for name in ["p256.pem", "p256.sec1.pem"] {
        assert_eq!(
            *PrivateKey::from_pem(&fixture(name), None)
                .unwrap()
                .public_key(),
            public
        );
    }
    let encrypted = PrivateKey::from_pem(&fixture("p256.encrypted.pem"), Some(PASSPHRASE)).unwrap();
    assert_eq!(*encrypted.public_key(), public);
    assert_eq!(public.key_type(), KeyType::P256);
    let public = PublicKey::from_pem(&fixture("ed25519.pub")).unwrap();
    assert_eq!(
        *PrivateKey::from_pem(&fixture("ed25519.pem"), None)
            .unwrap()
            .public_key(),
        public
    );
    let encrypted =
        PrivateKey::from_pem(&fixture("ed25519.encrypted.pem"), Some(PASSPHRASE)).unwrap();
    assert_eq!(*encrypted.public_key(), public);
    assert_eq!(public.key_type(), KeyType::Ed25519);
}

/// `sha256sum p256.pub`: the hint that `model_signing` wants is of the text and not of the DER.
#[test]
fn the_fingerprint_is_that_of_the_text() {
    let text = fixture("p256.pub");
    let key = PublicKey::from_pem(&text).unwrap();
    assert_eq!(key.to_pem(), text);
    assert_eq!(key.fingerprint(), FINGERPRINT);
    let windows = PublicKey::from_pem(&text.replace('\n', "\r\n")).unwrap();
    assert_eq!(windows.fingerprint(), FINGERPRINT);
}

#[test]
fn rejects_other_algorithms_by_name() {
    for (name, wanted) in [("p384.pub", "P-384"), ("rsa.pub", "RSA")] {
        let error = PublicKey::from_pem(&fixture(name)).unwrap_err();
        assert!(matches!(error, KeyError::Algorithm { algorithm } if algorithm == wanted));
    }
    let error = PrivateKey::from_pem(&fixture("p384.pem"), None).unwrap_err();
    assert!(matches!(error, KeyError::Algorithm { algorithm } if algorithm == "P-384"));
}

#[test]
fn rejects_an_ed25519_key_of_small_order() {
    assert!(matches!(
        PublicKey::from_pem(&fixture("small-order.pub")),
        Err(KeyError::Invalid)
    ));
}

#[test]
fn rejects_the_wrong_half() {
    let error = PublicKey::from_pem(&fixture("p256.pem")).unwrap_err();
    assert!(matches!(error, KeyError::Label { found, .. } if found == "PRIVATE KEY"));
    let error = PrivateKey::from_pem(&fixture("p256.pub"), None).unwrap_err();
    assert!(matches!(error, KeyError::Label { found, .. } if found == "PUBLIC KEY"));
}

#[test]
fn rejects_damaged_keys() {
    let text = fixture("p256.pub");
    for damaged in [
        String::new(),
        text[..60].to_owned(),
        text.replace("MFk", "!Fk"),
        text.replace("END PUBLIC", "END OTHER"),
    ] {
        assert!(
            matches!(PublicKey::from_pem(&damaged), Err(KeyError::Pem)),
            "{damaged}"
        );
    }
    // The last byte of y: the point is not on the curve.
    let off_curve = text
        .replace("==", "")
        .replacen("\n-----END", "==\n-----END", 1);
    let off_curve = flip_last_base64(&off_curve);
    assert!(
        matches!(PublicKey::from_pem(&off_curve), Err(KeyError::Invalid)),
        "{off_curve}"
    );
}

/// Changes the third last digit before the padding.
fn flip_last_base64(text: &str) -> String {
    let place = text.find("==").unwrap() - 3;
    let other = if text.as_bytes()[place] == b'A' {
        "B"
    } else {
        "A"
    };
    format!("{}{other}{}", &text[..place], &text[place + 1..])
}

#[test]
fn wants_the_passphrase_and_the_right_one() {
    for name in ["p256.encrypted.pem", "ed25519.encrypted.pem"] {
        let text = fixture(name);
        assert!(matches!(
            PrivateKey::from_pem(&text, None),
            Err(KeyError::PassphraseNeeded)
        ));
        assert!(matches!(
            PrivateKey::from_pem(&text, Some(b"wrong")),
            Err(KeyError::WrongPassphrase)
        ));
        assert!(matches!(
            PrivateKey::from_pem(&text, Some(b"")),
            Err(KeyError::WrongPassphrase)
        ));
    }
    assert!(matches!(
        PrivateKey::from_pem(&fixture("p256.pem"), Some(b"any")),
        Err(KeyError::NotEncrypted)
    ));
    assert!(matches!(
        PrivateKey::from_pem(&fixture("p256.legacy.pem"), None),
        Err(KeyError::Encryption)
    ));
}

#[test]
fn a_new_key_reads_back_plain_and_encrypted() {
    for key_type in [KeyType::P256, KeyType::Ed25519] {
        let key = PrivateKey::generate(key_type).unwrap();
        assert_eq!(key.public_key().key_type(), key_type);
        let plain = PrivateKey::from_pem(&key.to_pem(None).unwrap(), None).unwrap();
        assert_eq!(plain.public_key(), key.public_key());
        let text = key.to_pem(Some(PASSPHRASE)).unwrap();
        assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        let encrypted = PrivateKey::from_pem(&text, Some(PASSPHRASE)).unwrap();
        assert_eq!(encrypted.public_key(), key.public_key());
        let other = PrivateKey::generate(key_type).unwrap();
        assert_ne!(other.public_key(), key.public_key());
    }
}

#[test]
fn writes_a_key_as_other_programs_do() {
    for name in ["p256.pem", "ed25519.pem"] {
        let text = fixture(name);
        let key = PrivateKey::from_pem(&text, None).unwrap();
        assert_eq!(*key.to_pem(None).unwrap(), text, "{name}");
    }
}

#[test]
fn shows_nothing_of_a_private_key() {
    let key = PrivateKey::from_pem(&fixture("p256.pem"), None).unwrap();
    assert_eq!(
        format!("{key:?}"),
        format!("PrivateKey(of PublicKey(p256 {FINGERPRINT}))")
    );
}

#[cfg(unix)]
#[test]
fn refuses_a_key_file_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let path: PathBuf = directory.path().join("key.pem");
    fs_err::write(&path, fixture("p256.pem")).unwrap();
    for (mode, accepted) in [
        (0o644, false),
        (0o640, false),
        (0o602, false),
        (0o600, true),
        (0o400, true),
    ] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        match PrivateKey::read(&path, None) {
            Ok(_) => assert!(accepted, "{mode:o}"),
            Err(KeyError::Permissions { mode: found, .. }) => assert!(!accepted && found == mode),
            Err(other) => panic!("{mode:o}: {other}"),
        }
    }
}

#[test]
fn refuses_what_is_no_key_file() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(
        PrivateKey::read(directory.path(), None),
        Err(KeyError::NotAKeyFile { .. })
    ));
    assert!(matches!(
        PrivateKey::read(&directory.path().join("none"), None),
        Err(KeyError::Io(_))
    ));
}
const FINGERPRINT: &str = "325e7e76ee003b4318f8a7056efb23df783694b9a573b7be93f6c11f45b82188";
