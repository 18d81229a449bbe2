//! Heads that lines share: one copy of the weights for each core, not for each line.

use std::borrow::Cow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::error::Result;
use crate::runtime::{Engine, Head, HeadCard, HeadOptions, Tokens, head_file};

/// How long a line waits for a copy before it makes one more: whoever has them may hang.
const PATIENCE: Duration = Duration::from_secs(1);

/// The heads of one process.
#[derive(Debug, Default)]
pub struct Heads {
    pools: Mutex<Vec<Weak<Pool>>>,
}

impl Heads {
    /// The copies of a head, shared with all who run it in the same way.
    ///
    /// # Errors
    /// As [`Pool::open`].
    pub fn get(&self, name: &str, options: &HeadOptions) -> Result<Arc<Pool>> {
        let (path, onnx) = head_file(name)?;
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        // Its file may be another by now.
        let same = |p: &Pool| p.path == path && p.options == *options && p.onnx == onnx;
        if let Some(pool) = pools.iter().filter_map(Weak::upgrade).find(|p| same(p)) {
            return Ok(pool);
        }
        let pool = Arc::new(Pool::new(path, onnx, options)?);
        pools.push(Arc::downgrade(&pool));
        Ok(pool)
    }
}

/// Copies of one head: whoever has a latent takes one, and gives it back.
#[derive(Debug)]
pub struct Pool {
    path: String,
    onnx: Cow<'static, [u8]>,
    options: HeadOptions,
    card: HeadCard,
    engine: Engine,
    patch: Option<[usize; 2]>,
    copies: Mutex<Copies>,
    given_back: Condvar,
}

#[derive(Debug)]
struct Copies {
    /// Heads that nobody has, and the tokens that each goes on with.
    idle: Vec<(Head, Tokens)>,
    /// How many may still be made before one waits for another.
    left: usize,
}

impl Pool {
    /// Opens the head of a name or path.
    ///
    /// # Errors
    /// As [`crate::runtime::find_head_with`].
    pub fn open(name: &str, options: &HeadOptions) -> Result<Self> {
        let (path, onnx) = head_file(name)?;
        Self::new(path, onnx, options)
    }

    fn new(path: String, onnx: Cow<'static, [u8]>, options: &HeadOptions) -> Result<Self> {
        let head = Head::from_onnx_with(&path, &onnx, options)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            card: head.card().clone(),
            engine: head.engine().clone(),
            patch: head.patch(),
            copies: Mutex::new(Copies {
                idle: vec![(head, options.tokens.clone())],
                left: cores - 1,
            }),
            given_back: Condvar::new(),
            path,
            onnx,
            options: options.clone(),
        })
    }

    /// What the head says of itself.
    pub fn card(&self) -> &HeadCard {
        &self.card
    }

    /// What runs it.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// As [`Head::patch`].
    pub fn patch(&self) -> Option<[usize; 2]> {
        self.patch
    }

    /// The tokens that it goes on with if nothing else is asked for.
    pub fn tokens(&self) -> &Tokens {
        &self.options.tokens
    }

    /// Runs a copy that goes on with these tokens; one is waited for if all are taken.
    ///
    /// # Errors
    /// `Bundle` if the head does not go on with such tokens, and what `run` says.
    pub fn with<T>(&self, tokens: &Tokens, run: impl FnOnce(&mut Head) -> Result<T>) -> Result<T> {
        // A copy that panics or hangs does not come back; another is made for it.
        let (mut head, mut now) = match self.take(tokens) {
            Some(copy) => copy,
            None => {
                let head = Head::from_onnx_with(&self.path, &self.onnx, &self.options);
                let head = head.inspect_err(|_| self.lock().left += 1)?;
                (head, self.options.tokens.clone())
            }
        };
        let go = || {
            if now != *tokens {
                head.keep(tokens)?;
                now.clone_from(tokens);
            }
            run(&mut head)
        };
        let done = go();
        self.lock().idle.push((head, now));
        self.given_back.notify_one();
        done
    }

    /// A copy that is idle, the best one that need not be told of other tokens; `None` if one is to be made.
    fn take(&self, tokens: &Tokens) -> Option<(Head, Tokens)> {
        let mut copies = self.lock();
        let mut patience = Some(PATIENCE);
        loop {
            let told = copies.idle.iter().position(|(_, now)| now == tokens);
            if let Some(at) = told.or(copies.idle.len().checked_sub(1)) {
                return Some(copies.idle.swap_remove(at));
            }
            if copies.left > 0 {
                copies.left -= 1;
                return None;
            }
            let waited = self
                .given_back
                .wait_timeout_while(copies, patience.take()?, |c| c.idle.is_empty() && c.left == 0);
            copies = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Copies> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
