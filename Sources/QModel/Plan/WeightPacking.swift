import QKernels

/// The packed weight layouts of the model file (see the ops' own pages for which op uses which).
enum WeightPacking {
  /// `[ceil(channels/16)][rows][ceil(length/4)][16][4]`, zero in the padding: convolutions of one group, dense layers.
  ///
  /// - Parameter weight: the weight of output channel `o`, row `r`, element `k`.
  static func rows(
    channels: Int, rows: Int, length: Int, _ weight: (_ o: Int, _ r: Int, _ k: Int) -> Int8
  ) -> [Int8] {
    let block = ModelFormat.channelBlock, group = ModelFormat.reductionGroup
    let blocks = (channels + block - 1) / block, groups = (length + group - 1) / group
    var packed = [Int8](repeating: 0, count: blocks * rows * groups * block * group)
    for o in 0..<channels {
      for r in 0..<rows {
        let start = ((o / block * rows + r) * groups * block + o % block) * group
        for k in 0..<length { packed[start + k / group * block * group + k % group] = weight(o, r, k) }
      }
    }
    return packed
  }

  /// `[ceil(channels/16)][ceil(taps/4)][16][4]`, zero in the padding: depthwise convolutions.
  ///
  /// - Parameter weight: the weight of channel `c` at tap `t`.
  static func taps(channels: Int, taps: Int, _ weight: (_ c: Int, _ t: Int) -> Int8) -> [Int8] {
    rows(channels: channels, rows: 1, length: taps) { c, _, t in weight(c, t) }
  }
}
