//! Criterion on the `message` workloads, ours alone: for watching one change. `benches message` compares libraries.

#[cfg(not(feature = "criterion"))]
fn main() -> std::process::ExitCode {
    eprintln!("benches: criterion is not compiled in; cargo bench -p benches --features criterion");
    std::process::ExitCode::FAILURE
}

#[cfg(feature = "criterion")]
fn main() {
    use benches::workloads::{self, SAMPLES};
    use criterion::{BenchmarkId, Criterion, Throughput};

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("message");
    for sample in &SAMPLES {
        let buffer = sample.buffer();
        group.throughput(Throughput::Bytes(sample.bytes.len() as u64));
        group.bench_function(BenchmarkId::new("parse", sample.name), |b| b.iter(|| workloads::parse(&buffer)));
        group.bench_function(BenchmarkId::new("parse+read", sample.name), |b| {
            b.iter(|| workloads::read(&workloads::parse(&buffer)))
        });
        let mut out = Vec::new();
        group.bench_function(BenchmarkId::new("forward", sample.name), |b| {
            b.iter(|| workloads::forward(&buffer, &mut out))
        });
        let message = workloads::parse(&buffer);
        group.bench_function(BenchmarkId::new("serialise", sample.name), |b| b.iter(|| workloads::serialise(&message)));
    }
    group.finish();
    criterion.final_summary();
}
