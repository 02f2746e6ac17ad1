import QModel

/// Runs a model once per sample.
///
/// - Parameters:
///   - samples: one array per model input, of the model's own integers if `isRaw`, of real values otherwise.
///   - isStateful: whether recurrent state is kept from one sample to the next; needs one thread.
///   - state: what the recurrent state is before the first sample, if it is kept; nil for its initial value.
///   - threads: how many samples run at once, each with an arena of its own.
///   - trace: takes every tensor of every sample; nil for none.
/// - Returns: one array per model output, of shape [N] + the output's shape, and the state after the last sample.
func runSamples(
  _ model: VerifiedModel, _ samples: SampleArrays, isRaw: Bool, isStateful: Bool = false, state: [UInt8]? = nil,
  threads: Int = 1, trace: TraceRecorder? = nil, progress: ProgressLine? = nil
) throws -> (outputs: [NPYArray], state: [UInt8]) {
  let count = samples.sampleCount
  let workers = max(1, min(threads, count))
  var sessions: [Session] = []
  let set = try chosenInstructionSet()
  for _ in 0..<workers { sessions.append(try Session(model, set: set)) }
  if let state { try sessions[0].restore(state: state) }
  let outputs = try zip(model.outputs, outputLayouts(of: model.outputs, inputs: model.inputs)).map { info, layout in
    try ArrayBuilder(info, layout: layout, sampleCount: count, isRaw: isRaw)
  }
  try trace?.prepare(sampleCount: count)

  let line = SharedProgress(progress)
  // Sessions are used by one worker each, and every sample writes its own part of the builders.
  nonisolated(unsafe) let shared = (sessions: sessions, outputs: outputs, trace: trace, samples: samples)
  parallelFor(count: count, threads: workers) { sample, worker in
    let session = shared.sessions[worker]
    if !isStateful { session.reset() }
    for index in shared.samples.arrays.indices {
      let array = shared.samples.arrays[index]
      let range = shared.samples.range(ofSample: sample, input: index)
      if isRaw {
        let size = array.elementType.byteCount
        array.withElementBytes {
          let bytes = $0[range.lowerBound * size..<range.upperBound * size]
          session.setInput(index, bytes: UnsafeRawBufferPointer(rebasing: bytes))
        }
      } else {
        array.floats(in: range).withUnsafeBufferPointer { session.setInput(index, quantizing: $0) }
      }
    }
    if let trace = shared.trace {
      trace.run(session, sample: sample)
    } else {
      session.run()
    }
    for (index, builder) in shared.outputs.enumerated() {
      builder.store(session, tensor: session.outputs[index].index, sample: sample)
    }
    if worker == 0 { line.update(sample + 1, of: count) }
  }
  line.finish()
  return (outputs.map { $0.array() }, sessions[0].savedState)
}
