import Foundation
import Testing

@testable import QModel

@Suite struct FileTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test(arguments: [0, 1, 4095, 65_536, 200_003])
  func writtenBytesAreRead(size: Int) throws {
    let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 7) }
    try writeFileAtomically(folder.file("a"), bytes)
    #expect(try readFile(folder.file("a")) == bytes)
    let aligned = try AlignedFile(path: folder.file("a"))
    #expect(aligned.withBytes { Array($0) } == bytes)
    #expect(aligned.withBytes { Int(bitPattern: $0.baseAddress) } % AlignedFile.alignment == 0)
    #expect(folder.names == ["a"])
  }

  @Test(arguments: [0, 10, 65_536, 300_001])
  func aPipeIsReadToItsEnd(size: Int) throws {
    for useAligned in [false, true] {
      let fifo = folder.file("fifo\(useAligned)")
      #expect(mkfifo(fifo, 0o600) == 0)
      let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 13) }
      let writer = Thread { FileHandle(forWritingAtPath: fifo)?.write(Data(bytes)) }
      writer.start()
      let found = useAligned ? try AlignedFile(path: fifo).withBytes { Array($0) } : try readFile(fifo)
      #expect(found == bytes)
    }
  }

  @Test func missingFilesAreToldApart() throws {
    let absent = folder.file("absent")
    #expect(throws: FileError.missing(path: absent, detail: "no such file")) { try readFile(absent) }
    #expect(throws: FileError.missing(path: "", detail: "no such file")) { try readFile("") }
    let below = folder.file("plain") + "/x"
    try writeFileAtomically(folder.file("plain"), [1])
    #expect(throws: FileError.missing(path: below, detail: "no such file")) { try AlignedFile(path: below) }
    #expect(throws: FileError.missing(path: folder.path, detail: "is a folder, a file was expected")) {
      try readFile(folder.path)
    }
    #expect(throws: FileError.missing(path: "/dev/zero", detail: "is a device or socket, a file was expected")) {
      try readFile("/dev/zero")
    }
  }

  @Test func anExistingFileIsReplacedAndKeepsItsMode() throws {
    let path = folder.file("model")
    try writeFileAtomically(path, [1, 2, 3])
    #expect(chmod(path, 0o640) == 0)
    try writeFileAtomically(path, [4])
    #expect(try readFile(path) == [4])
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    #expect(attributes[.posixPermissions] as? Int == 0o640)
    #expect(folder.names == ["model"])
  }

  @Test func aLinkKeepsPointingToTheNewContents() throws {
    try writeFileAtomically(folder.file("target"), [1])
    #expect(symlink("target", folder.file("link")) == 0)
    try writeFileAtomically(folder.file("link"), [9, 9])
    #expect(try readFile(folder.file("target")) == [9, 9])
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder.file("link")) == "target")
  }

  @Test func aDeviceIsWrittenToAndNotReplaced() throws {
    try writeFileAtomically("/dev/null", [1, 2])
    var info = stat()
    #expect(stat("/dev/null", &info) == 0 && info.st_mode & S_IFMT == S_IFCHR)
    #expect(throws: FileError.unwritable(path: "/dev/full", detail: "No space left on device")) {
      try writeFileAtomically("/dev/full", [1])
    }
  }

  @Test func nothingAppearsWhenOneOfSeveralFails() throws {
    let bad = folder.file("none/b")
    #expect(throws: FileError.unwritable(path: bad, detail: "No such file or directory")) {
      try writeFilesAtomically([(folder.file("a"), [1]), (bad, [2])])
    }
    #expect(folder.names == [])
  }

  @Test func aFailedRenameLeavesNoTemporary() throws {
    let target = folder.file("t")
    // Two files with one destination that turns into a folder between staging and renaming cannot be arranged from
    // here; a destination that is a folder from the start is refused before anything is written.
    try makeFolder(target)
    #expect(throws: FileError.unwritable(path: target, detail: "it is a folder")) {
      try writeFilesAtomically([(folder.file("a"), [1]), (target, [2])])
    }
    #expect(folder.names == ["t"])
  }

  @Test func writabilityIsKnownBeforehand() throws {
    try checkWritable(folder.file("new"))
    try checkWritable("/dev/null")
    try checkWritable("relative-name")
    #expect(throws: FileError.unwritable(path: "", detail: "the path is empty")) { try checkWritable("") }
    #expect(throws: FileError.unwritable(path: folder.path, detail: "it is a folder")) {
      try checkWritable(folder.path)
    }
    let path = folder.file("none/x")
    #expect(
      throws: FileError.unwritable(path: path, detail: "the folder \(folder.file("none")) does not exist")
    ) { try checkWritable(path) }
    #expect(folder.names == [])
  }

  @Test func foldersAreMadeOnce() throws {
    #expect(try makeFolder(folder.file("d")))
    #expect(try !makeFolder(folder.file("d")))
    removeEmptyFolder(folder.file("d"))
    #expect(folder.names == [])
    try writeFileAtomically(folder.file("f"), [])
    #expect(throws: FileError.unwritable(path: folder.file("f"), detail: "it is not a folder")) {
      try makeFolder(folder.file("f"))
    }
  }

  @Test func messagesNamePathAndNextStep() {
    #expect(
      FileError.missing(path: "m.onnx", detail: "no such file").description == "m.onnx: no such file; check the path")
    #expect(
      FileError.unwritable(path: "o/m", detail: "it is a folder").description
        == "o/m: cannot be written: it is a folder; choose a path in an existing folder with write permission"
        + " and free space")
  }
}

@Suite struct ClockTests {
  @Test func theClockNeverGoesBack() {
    var last = monotonicNanoseconds()
    for _ in 0..<1000 {
      let now = monotonicNanoseconds()
      #expect(now >= last)
      last = now
    }
    #expect(last > 0)
  }

  @Test func aFileIsNoTerminal() throws {
    let folder = try TemporaryFolder()
    let descriptor = open(folder.file("f"), O_CREAT | O_WRONLY, 0o600)
    defer { close(descriptor) }
    #expect(!isTerminal(descriptor))
    #expect(onlineProcessorCount() >= 1)
  }
}
