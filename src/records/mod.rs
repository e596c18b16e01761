//! Record batches: how records lie in Produce requests, Fetch responses and logs.
