/// Element types of ONNX tensors, by their code in `TensorProto.DataType`.
enum ONNXElementType: Int32 {
  case float32 = 1
  case uint8 = 2
  case int8 = 3
  case uint16 = 4
  case int16 = 5
  case int32 = 6
  case int64 = 7
  case string = 8
  case bool = 9
  case float16 = 10
  case float64 = 11
  case uint32 = 12
  case uint64 = 13
  case complex64 = 14
  case complex128 = 15
  case bfloat16 = 16
  case float8E4M3FN = 17
  case float8E4M3FNUZ = 18
  case float8E5M2 = 19
  case float8E5M2FNUZ = 20
  case uint4 = 21
  case int4 = 22
  case float4E2M1 = 23
  case float8E8M0 = 24

  /// Bits of one stored element; `nil` for types that the importer does not read.
  var bitWidth: Int? {
    switch self {
    case .uint4, .int4: 4
    case .uint8, .int8, .bool: 8
    case .uint16, .int16, .float16, .bfloat16: 16
    case .float32, .int32, .uint32: 32
    case .float64, .int64, .uint64: 64
    case .string, .complex64, .complex128, .float8E4M3FN, .float8E4M3FNUZ, .float8E5M2, .float8E5M2FNUZ,
      .float4E2M1, .float8E8M0:
      nil
    }
  }

  /// True for the types whose elements are read as `Float`.
  var isFloatingPoint: Bool {
    switch self {
    case .float32, .float16, .float64, .bfloat16: true
    case .uint8, .int8, .uint16, .int16, .int32, .int64, .string, .bool, .uint32, .uint64, .complex64, .complex128,
      .float8E4M3FN, .float8E4M3FNUZ, .float8E5M2, .float8E5M2FNUZ, .uint4, .int4, .float4E2M1, .float8E8M0:
      false
    }
  }

  /// Smallest and largest value of an integer type (`uint64` up to the largest `Int64`); `nil` for all others.
  var integerRange: ClosedRange<Int64>? {
    switch self {
    case .bool: 0...1
    case .uint4: 0...15
    case .int4: -8...7
    case .uint8: 0...255
    case .int8: -128...127
    case .uint16: 0...65535
    case .int16: -32768...32767
    case .uint32: 0...Int64(UInt32.max)
    case .int32: Int64(Int32.min)...Int64(Int32.max)
    case .uint64: 0...Int64.max
    case .int64: Int64.min...Int64.max
    case .float32, .string, .float16, .float64, .complex64, .complex128, .bfloat16, .float8E4M3FN, .float8E4M3FNUZ,
      .float8E5M2, .float8E5M2FNUZ, .float4E2M1, .float8E8M0:
      nil
    }
  }
}

extension ONNXElementType: CustomStringConvertible {
  /// The name that ONNX gives the type.
  var description: String {
    switch self {
    case .float32: "float32"
    case .uint8: "uint8"
    case .int8: "int8"
    case .uint16: "uint16"
    case .int16: "int16"
    case .int32: "int32"
    case .int64: "int64"
    case .string: "string"
    case .bool: "bool"
    case .float16: "float16"
    case .float64: "double"
    case .uint32: "uint32"
    case .uint64: "uint64"
    case .complex64: "complex64"
    case .complex128: "complex128"
    case .bfloat16: "bfloat16"
    case .float8E4M3FN: "float8e4m3fn"
    case .float8E4M3FNUZ: "float8e4m3fnuz"
    case .float8E5M2: "float8e5m2"
    case .float8E5M2FNUZ: "float8e5m2fnuz"
    case .uint4: "uint4"
    case .int4: "int4"
    case .float4E2M1: "float4e2m1"
    case .float8E8M0: "float8e8m0"
    }
  }

  /// The name for a code that may be unknown.
  static func name(ofCode code: Int32) -> String {
    ONNXElementType(rawValue: code)?.description ?? "type code \(code)"
  }
}
