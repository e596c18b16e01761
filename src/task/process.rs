//! [`Process`]: tasks of a simulation that stand still, or are gone, together.

use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

thread_local! {
    /// The process whose task is being polled.
    static CURRENT: RefCell<Option<Process>> = const { RefCell::new(None) };
}

/// Tasks that a simulation lets stand still, as a process that got SIGSTOP, or ends as SIGKILL does. Whatever they start belongs
/// to them. Clones are the same one.
#[derive(Clone, Default)]
pub struct Process(Arc<Mutex<Tasks>>);

#[derive(Default)]
struct Tasks {
    is_stopped: bool,
    /// Of those that were to go on meanwhile.
    wakers: Vec<Waker>,
    all: Vec<AbortHandle>,
}

impl Process {
    /// One without tasks.
    pub fn new() -> Process {
        Process::default()
    }

    /// Starts a task of it.
    pub fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let _within = Within::enter(self);
        super::spawn(future)
    }

    /// None of its tasks does anything until [`go_on`](Self::go_on). The clock runs on without them.
    pub fn stop(&self) {
        self.lock().is_stopped = true;
    }

    /// They go on.
    pub fn go_on(&self) {
        let wakers = {
            let mut tasks = self.lock();
            tasks.is_stopped = false;
            std::mem::take(&mut tasks.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// They end where they are.
    pub fn kill(&self) {
        let all = std::mem::take(&mut self.lock().all);
        all.iter().for_each(AbortHandle::abort);
    }

    /// The one that the running task belongs to, if any.
    pub(super) fn current() -> Option<Process> {
        CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
    }

    #[expect(clippy::disallowed_methods, reason = "what task::spawn does for a process")]
    pub(super) fn start<T: Send + 'static>(self, future: Boxed<T>) -> JoinHandle<T> {
        let task = tokio::spawn(self.clone().carry(future));
        self.add(task.abort_handle());
        task
    }

    pub(super) fn start_in<T: Send + 'static>(self, set: &mut JoinSet<T>, future: Boxed<T>) {
        let task = set.spawn(self.clone().carry(future));
        self.add(task);
    }

    fn add(&self, task: AbortHandle) {
        let mut tasks = self.lock();
        tasks.all.retain(|task| !task.is_finished());
        tasks.all.push(task);
    }

    async fn carry<T>(self, mut future: Boxed<T>) -> T {
        poll_fn(move |cx| self.poll(&mut future, cx)).await
    }

    fn poll<T>(&self, future: &mut Boxed<T>, cx: &mut Context<'_>) -> Poll<T> {
        {
            let mut tasks = self.lock();
            if tasks.is_stopped {
                tasks.wakers.push(cx.waker().clone());
                return Poll::Pending;
            }
        }
        let _within = Within::enter(self);
        future.as_mut().poll(cx)
    }

    fn lock(&self) -> MutexGuard<'_, Tasks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks = self.lock();
        f.debug_struct("Process")
            .field("is_stopped", &tasks.is_stopped)
            .field("tasks", &tasks.all.len())
            .finish_non_exhaustive()
    }
}

/// While it lives tasks that are started belong to a process.
struct Within(Option<Process>);

impl Within {
    fn enter(process: &Process) -> Within {
        Within(CURRENT.replace(Some(process.clone())))
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}
