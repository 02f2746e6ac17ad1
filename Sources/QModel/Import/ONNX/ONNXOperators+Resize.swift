// Changes of the size of images.

extension ONNXOperator {
  static let resizing: [ONNXOperator] = [
    ONNXOperator(
      "Resize", since: 10, inputs: 1...4,
      [
        .init("mode"), .init("coordinate_transformation_mode", since: 11), .init("cubic_coeff_a", since: 11),
        .init("exclude_outside", since: 11), .init("extrapolation_value", since: 11), .init("nearest_mode", since: 11),
        .init("antialias", since: 18), .init("axes", since: 18), .init("keep_aspect_ratio_policy", since: 18),
      ]
    ) { (builder, node) throws(ModelError) in try builder.importResize(node) },
    ONNXOperator("Upsample", inputs: 1...2, [.init("mode"), .init("scales", until: 9)]) {
      (builder, node) throws(ModelError) in try builder.importResize(node)
    },
  ]
}

/// What a resize does along one axis.
private struct AxisResize {
  var output: Int
  /// Output size by input size as the model gives it; `nil` where it gives the output size.
  var scale: Float?
  /// What is resized with the coordinates "tf_crop_and_resize".
  var part = ResizeOp.Part()

  /// Whether the axis stays as it is.
  func isIdentity(_ input: Int) -> Bool { output == input && (scale ?? 1) == 1 && part == ResizeOp.Part() }
}

extension ONNXGraphBuilder {
  fileprivate mutating func importResize(_ node: ONNXNode) throws(ModelError) {
    let input = try tensor(node, 0)
    let source = shape(of: input)
    let axes = try resizedAxes(node, source)
    let changed = source.indices.filter { !axes[$0].isIdentity(source[$0]) }
    if changed.isEmpty { return setOutput(node, to: input) }
    // Channels-first images turn around, channels-last ones are what the operation works on.
    let isChannelsFirst: Bool
    switch source.count {
    case 3 where changed == [2]: isChannelsFirst = true
    case 4 where changed.allSatisfy({ $0 >= 2 }): isChannelsFirst = true
    case 4 where changed.allSatisfy({ $0 == 1 || $0 == 2 }): isChannelsFirst = false
    default: throw node.unsupported("it resizes the axes \(changed) of the shape \(source), not those of an image")
    }
    let rows = source.count == 3 ? AxisResize(output: 1) : axes[isChannelsFirst ? 2 : 1]
    let columns = axes[isChannelsFirst ? source.count - 1 : 2]
    let inputColumns = source[isChannelsFirst ? source.count - 1 : 2]
    let inputRows = source.count == 3 ? 1 : source[isChannelsFirst ? 2 : 1]
    var op = try resizeOp(node, [(rows, inputRows), (columns, inputColumns)])
    (op.outputHeight, op.outputWidth) = (rows.output, columns.output)
    (op.scaleHeight, op.scaleWidth) = (rows.scale, columns.scale)
    (op.partHeight, op.partWidth) = (rows.part, columns.part)
    let image = isChannelsFirst ? try channelsLast(input, for: node) : input
    let channels = isChannelsFirst ? source[1] : source[3]
    let shape = [source[0], op.outputHeight, op.outputWidth, channels]
    let result = try add(.resize(op), [image], shape: shape, for: node)
    if isChannelsFirst {
      try setOutput(node, channelsLast: result, rank: source.count)
    } else {
      setOutput(node, to: result)
    }
  }

  /// Returns what happens to each axis of the input.
  private mutating func resizedAxes(_ node: ONNXNode, _ source: [Int]) throws(ModelError) -> [AxisResize] {
    var axes = source.map { AxisResize(output: $0) }
    let given = try node.ints("axes") ?? [Int](source.indices)
    var targets: [Int] = []
    for axis in given {
      guard let axis = ONNXConstant.resolved(axis: axis, rank: source.count), !targets.contains(axis) else {
        throw node.malformed("its axes \(given) do not fit the shape \(source)")
      }
      targets.append(axis)
    }
    let scales = try scales(node)
    let sizes = node.opset >= 11 && node.proto.opType == "Resize" ? try optionalIntegers(node, 3, "sizes") ?? [] : []
    guard scales.isEmpty != sizes.isEmpty else { throw node.malformed("it needs either scales or sizes") }
    guard max(scales.count, sizes.count) == targets.count else {
      throw node.malformed("it has \(max(scales.count, sizes.count)) scales or sizes for \(targets.count) axes")
    }
    for (scale, axis) in zip(scales, targets) {
      let size = (Double(source[axis]) * Double(scale)).rounded(.down)
      guard scale.isFinite, scale > 0, size >= 1, size < 0x1p31, let output = Int(exactly: size) else {
        throw node.malformed("it scales the size \(source[axis]) by \(scale)")
      }
      axes[axis] = AxisResize(output: output, scale: scale)
    }
    try setSizes(node, sizes, targets, source, &axes)
    try setParts(node, targets, source, &axes)
    return axes
  }

  /// Takes over sizes, which a policy may change to keep the proportions.
  private func setSizes(
    _ node: ONNXNode, _ sizes: [Int], _ targets: [Int], _ source: [Int], _ axes: inout [AxisResize]
  ) throws(ModelError) {
    guard sizes.allSatisfy({ $0 >= 1 && $0 < 1 << 31 }) else { throw node.malformed("its sizes are \(sizes)") }
    let policy = try node.string("keep_aspect_ratio_policy", default: "stretch")
    let ratios = zip(sizes, targets).map { Double($0) / Double(source[$1]) }
    let common: Double?
    switch policy {
    case "stretch": common = nil
    case "not_larger": common = ratios.min()
    case "not_smaller": common = ratios.max()
    default: throw node.malformed("its attribute \"keep_aspect_ratio_policy\" is \"\(policy)\"")
    }
    for (size, axis) in zip(sizes, targets) {
      guard let common else {
        axes[axis] = AxisResize(output: size)
        continue
      }
      let scaled = (common * Double(source[axis]) + 0.5).rounded(.down)
      guard scaled >= 1, scaled < 0x1p31, let output = Int(exactly: scaled) else {
        throw node.malformed("its sizes are \(sizes)")
      }
      axes[axis] = AxisResize(output: output, scale: Float(common))
    }
  }

  /// Takes over the region of interest of the coordinates "tf_crop_and_resize": all starts, then all ends.
  private mutating func setParts(
    _ node: ONNXNode, _ targets: [Int], _ source: [Int], _ axes: inout [AxisResize]
  ) throws(ModelError) {
    guard try coordinates(node) == "tf_crop_and_resize" else { return }
    let region = try optionalWeights(node, 1, "roi")?.values ?? []
    guard region.count == 2 * targets.count else {
      throw node.malformed("its roi has \(region.count) values for \(targets.count) axes")
    }
    for (index, axis) in targets.enumerated() {
      let part = ResizeOp.Part(start: region[index], end: region[targets.count + index])
      guard (0...1).contains(part.start), (0...1).contains(part.end) else {
        throw node.unsupported(
          "its roi \(part.start)...\(part.end) of axis \(axis) reaches beyond the image; 0...1 is supported, so that "
            + "nothing takes the extrapolation_value")
      }
      axes[axis].part = part
    }
  }

  /// The attribute "coordinate_transformation_mode". Upsample and the first Resize know one: output position / scale.
  private func coordinates(_ node: ONNXNode) throws(ModelError) -> String {
    node.proto.opType == "Upsample" || node.opset < 11
      ? "asymmetric" : try node.string("coordinate_transformation_mode", default: "half_pixel")
  }

  private mutating func scales(_ node: ONNXNode) throws(ModelError) -> [Float] {
    if node.proto.opType == "Upsample" && node.opset < 9 {
      guard let scales = try node.floats("scales") else { throw node.malformed("it has no scales") }
      return scales
    }
    let isFirst = node.proto.opType == "Upsample" || node.opset < 11
    return try optionalWeights(node, isFirst ? 1 : 2, "scales")?.values ?? []
  }

  /// Returns the operation without its sizes.
  private func resizeOp(
    _ node: ONNXNode, _ axes: [(resize: AxisResize, input: Int)]
  ) throws(ModelError) -> ResizeOp {
    let mode: ResizeOp.Mode
    switch try node.string("mode", default: "nearest") {
    case "nearest": mode = .nearest
    case "linear", "bilinear": mode = .bilinear
    case let other:
      throw node.unsupported("its attribute \"mode\" is \"\(other)\"; \"nearest\" and \"linear\" are supported")
    }
    var rounding = ResizeOp.Rounding.floor
    if node.proto.opType == "Resize" && node.opset >= 11 {
      switch try node.string("nearest_mode", default: "round_prefer_floor") {
      case "round_prefer_floor": rounding = .roundPreferFloor
      case "round_prefer_ceil": rounding = .roundPreferCeil
      case "floor": rounding = .floor
      case "ceil": rounding = .ceil
      case let other: throw node.malformed("its attribute \"nearest_mode\" is \"\(other)\"")
      }
    }
    let isShrinking = axes.contains { $0.resize.output < $0.input || ($0.resize.scale ?? 1) < 1 }
    // Where nothing shrinks, there is nothing to smooth.
    if try node.flag("antialias"), mode == .bilinear, isShrinking {
      throw node.unsupported("its attribute \"antialias\" is 1, and it shrinks the image; only 0 is supported then")
    }
    let coordinates: ResizeOp.Coordinates
    switch try self.coordinates(node) {
    case "asymmetric": coordinates = .asymmetric
    case "half_pixel": coordinates = .halfPixel
    case "pytorch_half_pixel": coordinates = .pytorchHalfPixel
    case "align_corners": coordinates = .alignCorners
    case "half_pixel_symmetric": coordinates = .halfPixelSymmetric
    case "tf_crop_and_resize": coordinates = .cropAndResize
    case "tf_half_pixel_for_nn":
      // floor((x + 1/2) / scale) is half_pixel rounded half up.
      guard mode == .nearest, rounding == .floor else {
        throw node.unsupported(
          "its coordinates \"tf_half_pixel_for_nn\" need the mode \"nearest\" and the nearest_mode \"floor\"")
      }
      coordinates = .halfPixel
      rounding = .roundPreferCeil
    case let other: throw node.malformed("its attribute \"coordinate_transformation_mode\" is \"\(other)\"")
    }
    return ResizeOp(mode: mode, coordinates: coordinates, rounding: rounding, outputHeight: 1, outputWidth: 1)
  }
}
