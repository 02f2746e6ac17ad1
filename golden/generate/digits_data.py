"""The UCI handwritten digits (scikit-learn's copy) and their one split, shared by every trainer here.

Images are 8x8, values 0..16 divided by 16, so 0..1 exactly in float32. 540 images are held out for the test, the
other 1,257 train; the first 200 of the training images calibrate. Nothing is chosen by looking at the test images.
"""

import hashlib
import json
import pathlib

import numpy as np

SPLIT_SEED = 20240607
TEST_COUNT = 540
CALIBRATION_COUNT = 200
MODELS = pathlib.Path(__file__).resolve().parent.parent / "models"
DATASET = {
    "name": "Optical Recognition of Handwritten Digits, test part (E. Alpaydin, C. Kaynak), 1,797 images of 8x8",
    "source": "UCI Machine Learning Repository, as shipped by scikit-learn (sklearn.datasets.load_digits)",
    "license": "CC BY 4.0",
    "split": f"numpy.random.RandomState({SPLIT_SEED}).permutation: {TEST_COUNT} test, the rest train; "
    f"the first {CALIBRATION_COUNT} training images calibrate",
}


def load():
    """Returns float32 images [N,8,8] and int64 labels: train, calibration (a part of train), test."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)
    labels = digits.target.astype(np.int64)
    order = np.random.RandomState(SPLIT_SEED).permutation(len(images))
    test, train = order[:TEST_COUNT], order[TEST_COUNT:]
    calibration = train[:CALIBRATION_COUNT]
    return {
        "train": (images[train], labels[train]),
        "calibration": (images[calibration], labels[calibration]),
        "test": (images[test], labels[test]),
    }


def accuracy(logits, labels):
    """Returns the share of rows whose largest logit is the label's."""
    return float((np.asarray(logits).argmax(-1) == labels).mean())


def sha256(path):
    """Returns the hexadecimal digest of a file."""
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def write_provenance(folder, script, **facts):
    """Writes folder/provenance.json: the given facts, the generator and its digest, and the digest of each file."""
    folder = pathlib.Path(folder)
    script = pathlib.Path(script)
    record = dict(facts)
    record["dataset"] = DATASET
    record["generator"] = {
        f"golden/generate/{name}": sha256(script.parent / name) for name in (script.name, "digits_data.py")
    }
    record["files"] = {p.name: sha256(p) for p in sorted(folder.iterdir()) if p.name != "provenance.json"}
    (folder / "provenance.json").write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
