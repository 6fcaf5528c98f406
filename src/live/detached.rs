//! Work that nobody waits for.

use tokio::runtime::Handle;

/// Runs `work` in a task of its own. Does nothing while the runtime ends, when the process is about to end, too.
pub(super) fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(work);
    }
}
