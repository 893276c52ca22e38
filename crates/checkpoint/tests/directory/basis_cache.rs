//! The basis cache: what is stored is found, and what is damaged is rebuilt.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tlora_checkpoint::basis_cache::{BasisCache, BasisKey, CachedBasis, Lookup, Unusable};
use tlora_format::BaseDigest;

use crate::model::Model;

const KEY: BasisKey<'static> = BasisKey {
    base: BaseDigest([7; 32]),
    module: "model.layers.0.self_attn.q_proj",
    rank: 2,
    columns: 3,
    transposed: false,
};

fn basis() -> CachedBasis {
    CachedBasis {
        sigma: vec![2.5, 1.0 / 3.0],
        v: vec![1.0, -0.0, 0.5, f64::MIN_POSITIVE, 0.1, -1.0],
        passes: 17,
    }
}

struct Cache {
    place: Model,
    cache: BasisCache,
}

fn cache() -> Cache {
    let place = Model::with(&[]);
    let cache =
        BasisCache::open(Some(place.path().to_owned()), 1 << 20).expect("a directory is given");
    Cache { place, cache }
}

impl Cache {
    fn stored() -> Self {
        let cache = cache();
        cache.cache.store(&KEY, &basis()).expect("room");
        cache
    }

    /// The only file.
    fn file(&self) -> PathBuf {
        let mut path = self.place.path().to_owned();
        while path.is_dir() {
            let mut entries = fs_err::read_dir(&path).expect("a directory");
            path = entries.next().expect("an entry").expect("an entry").path();
            assert!(entries.next().is_none(), "one entry in {}", path.display());
        }
        path
    }

    fn unusable(&self) -> Unusable {
        match self.cache.load(&KEY) {
            Lookup::Unusable { reason, .. } => reason,
            other => panic!("wanted an unusable entry, found {other:?}"),
        }
    }
}

fn found(lookup: Lookup) -> CachedBasis {
    match lookup {
        Lookup::Found(basis) => basis,
        other => panic!("wanted a basis, found {other:?}"),
    }
}

#[test]
fn finds_what_was_stored_to_the_bit() {
    let cache = cache();
    assert!(matches!(cache.cache.load(&KEY), Lookup::Absent));
    cache.cache.store(&KEY, &basis()).expect("room");
    let found = found(cache.cache.load(&KEY));
    assert_eq!(found, basis());
    assert!(found.v[1].is_sign_negative());
}

#[test]
fn lies_where_the_design_says() {
    let cache = Cache::stored();
    let base = "07".repeat(32);
    // The name's BLAKE3, by Python's blake3 package.
    let wanted = format!("basis/exact-1/{base}/r2/5f9ef0a6ad1cf4d9d23c4e0da59eb85d");
    assert_eq!(cache.file(), cache.place.path().join(wanted));
}

#[test]
fn another_key_is_another_entry() {
    let cache = Cache::stored();
    for key in [
        BasisKey {
            base: BaseDigest([8; 32]),
            ..KEY
        },
        BasisKey {
            module: "model.layers.1.self_attn.q_proj",
            ..KEY
        },
        BasisKey { rank: 1, ..KEY },
        BasisKey {
            transposed: true,
            ..KEY
        },
    ] {
        assert!(matches!(cache.cache.load(&key), Lookup::Absent), "{key:?}");
    }
}

#[test]
fn every_truncation_and_every_changed_byte_is_seen() {
    let cache = Cache::stored();
    let (file, whole) = (cache.file(), fs_err::read(cache.file()).expect("the entry"));
    for len in 0..whole.len() {
        fs_err::write(&file, &whole[..len]).expect("room");
        assert!(matches!(cache.unusable(), Unusable::Damaged), "{len} bytes");
    }
    for i in 0..whole.len() {
        let mut changed = whole.clone();
        changed[i] ^= 0x10;
        fs_err::write(&file, changed).expect("room");
        assert!(matches!(cache.unusable(), Unusable::Damaged), "byte {i}");
    }
    cache.cache.store(&KEY, &basis()).expect("room");
    assert_eq!(found(cache.cache.load(&KEY)), basis());
}

/// Stores under KEY's name the entry of another key, or a changed one with the right hash.
fn foreign(change: impl Fn(&mut Vec<u8>)) -> Unusable {
    let cache = Cache::stored();
    let mut bytes = fs_err::read(cache.file()).expect("the entry");
    bytes.truncate(bytes.len() - 32);
    change(&mut bytes);
    let hash = blake3::hash(&bytes);
    bytes.extend(hash.as_bytes());
    fs_err::write(cache.file(), bytes).expect("room");
    cache.unusable()
}

#[test]
fn an_entry_of_another_kind_is_foreign() {
    let replaced = |from: &'static [u8], to: u8| {
        move |bytes: &mut Vec<u8>| {
            let at = bytes
                .windows(from.len())
                .position(|window| window == from)
                .expect("in the entry");
            bytes[at + from.len() - 1] = to;
        }
    };
    assert!(matches!(
        foreign(replaced(b"exact-1", b'2')),
        Unusable::Foreign
    ));
    assert!(matches!(
        foreign(replaced(b"\x89tlbas\n\x01", 2)),
        Unusable::Foreign
    ));
    assert!(matches!(
        foreign(replaced(b"layers.0", b'1')),
        Unusable::Foreign
    ));
    assert!(matches!(foreign(replaced(&[7; 32], 8)), Unusable::Foreign));
    assert!(matches!(
        foreign(|bytes| bytes.truncate(bytes.len() - 8)),
        Unusable::Foreign
    ));
    assert!(matches!(
        foreign(|bytes| bytes.extend([0; 8])),
        Unusable::Foreign
    ));
    assert!(matches!(foreign(|bytes| bytes.push(0)), Unusable::Foreign));
    assert!(matches!(foreign(Vec::clear), Unusable::Foreign));
}

#[test]
fn an_entry_of_other_columns_is_foreign() {
    let cache = Cache::stored();
    let wider = cache.cache.load(&BasisKey { columns: 4, ..KEY });
    assert!(matches!(
        wider,
        Lookup::Unusable {
            reason: Unusable::Foreign,
            ..
        }
    ));
}

#[test]
fn an_oversized_entry_is_not_read() {
    let cache = Cache::stored();
    let file = fs_err::OpenOptions::new()
        .write(true)
        .open(cache.file())
        .expect("the entry");
    file.set_len(1 << 30).expect("a sparse file");
    assert!(matches!(cache.unusable(), Unusable::TooLarge(_)));
}

#[test]
fn an_entry_that_cannot_be_read_is_no_panic() {
    let cache = Cache::stored();
    fs_err::remove_file(cache.file()).expect("the entry");
    let path = match cache.cache.load(&KEY) {
        Lookup::Absent => cache.place.path().join("basis/exact-1"),
        other => panic!("{other:?}"),
    };
    fs_err::remove_dir_all(&path).expect("the directory");
    fs_err::write(&path, b"a file in the way").expect("room");
    assert!(matches!(cache.unusable(), Unusable::Io(_)));
    cache.cache.store(&KEY, &basis()).expect_err("no directory");
}

#[test]
fn threads_may_store_and_load_the_same_entry_at_once() {
    let cache = Cache::stored();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..200).for_each(|_| cache.cache.store(&KEY, &basis()).expect("room")));
        }
        for _ in 0..200 {
            assert_eq!(found(cache.cache.load(&KEY)), basis());
        }
    });
    // No temporary file is left.
    assert!(cache.file().ends_with("5f9ef0a6ad1cf4d9d23c4e0da59eb85d"));
}

fn age(path: PathBuf, hours: u64) {
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .expect("the entry");
    file.set_modified(SystemTime::now() - Duration::from_hours(hours))
        .expect("another time");
}

#[test]
fn the_oldest_entries_go_first() {
    let place = Model::with(&[]);
    let open = |max_bytes| {
        BasisCache::open(Some(place.path().to_owned()), max_bytes).expect("a directory is given")
    };
    let key = |rank| BasisKey {
        rank,
        columns: 1,
        ..KEY
    };
    let of_rank = |rank: u8| CachedBasis {
        sigma: vec![1.0; rank.into()],
        v: vec![1.0; rank.into()],
        passes: 1,
    };
    let cache = open(1 << 20);
    for rank in 1..=3 {
        cache.store(&key(rank), &of_rank(rank)).expect("room");
        let path = place.path().join(format!(
            "basis/exact-1/{}/r{rank}/5f9ef0a6ad1cf4d9d23c4e0da59eb85d",
            "07".repeat(32)
        ));
        age(path, [0, 2, 3, 1][usize::from(rank)]);
    }
    assert_eq!(cache.prune().expect("a readable cache"), 0);
    let all: u64 = (1..=3)
        .map(|rank| {
            fs_err::metadata(place.path().join(format!(
                "basis/exact-1/{}/r{rank}/5f9ef0a6ad1cf4d9d23c4e0da59eb85d",
                "07".repeat(32)
            )))
            .expect("an entry")
            .len()
        })
        .sum();
    assert!(open(all - 1).prune().expect("a readable cache") > 0);
    assert!(matches!(cache.load(&key(2)), Lookup::Absent));
    assert!(matches!(cache.load(&key(1)), Lookup::Found(_)));
    let small = open(1);
    small.store(&key(2), &of_rank(2)).expect("room");
    drop(small);
    for rank in 1..=3 {
        assert!(
            matches!(cache.load(&key(rank)), Lookup::Absent),
            "rank {rank}"
        );
    }
}

#[test]
fn pruning_an_absent_cache_is_no_error() {
    assert_eq!(cache().cache.prune().expect("nothing to do"), 0);
}
