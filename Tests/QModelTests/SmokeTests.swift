import Testing
@testable import QModel
@Test func smoke() { #expect(Bool(true)) }
