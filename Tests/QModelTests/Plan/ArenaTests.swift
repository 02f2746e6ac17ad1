import QKernels
import Testing

@testable import QModel

struct ArenaTests {
  /// What the best other runtime needs for the same models.
  @Test(
    .enabled(if: Oracle.isAvailable, "no oracle data: set QK_ORACLE"),
    arguments: [
      ("kws_ref_model", 22_772), ("pretrainedResnet_quant", 54_340), ("ad01_int8", 2_260), ("trained_lstm_int8", 3_220),
    ]) func workingMemoryStaysWithinTheAim(model: String, limit: Int) throws
  {
    let model = try VerifiedModel(bytes: try QuantizedTFLiteTests.compiled(model).bytes)
    #expect(model.arenaByteCount + model.stateByteCount <= limit)
  }
}
