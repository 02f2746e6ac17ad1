import Testing
@testable import QKernels
@Test func smoke() { #expect(Bool(true)) }
