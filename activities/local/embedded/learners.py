"""The few scikit-learn pieces that the student is made of, behind typed functions.

scikit-learn, scipy and joblib ship no types; they are imported here and nowhere else. A `Matrix` is a
`scipy.sparse.csr_array` of float32, shape (rows, columns).
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import joblib
import numpy as np
import numpy.typing as npt
import scipy.sparse as sparse
import sklearn
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import LinearSVC

type Matrix = Any
type Floats = npt.NDArray[np.float64]
type Ints = npt.NDArray[np.intp]
type Entries = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]

TOLERANCE = 0.03
"""Of the support vector machines: ten times finer takes twice as long and agrees no more."""
LIBRARY_VERSION: str = sklearn.__version__


@dataclass(frozen=True)
class Vectorizer:
    """TF-IDF of one document, the same numbers as scikit-learn's, at a tenth of its cost for a single document."""

    analyzer: Literal["word", "char_wb"]
    ngrams: tuple[int, int]
    vocabulary: dict[str, int]
    idf: npt.NDArray[np.float32]

    def entries(self, document: str) -> Entries:
        """Columns and values of one document: (1 + log count) * idf, scaled to unit length."""
        counts = Counter(map(self.vocabulary.get, self._terms(document)))
        del counts[None]
        columns = np.fromiter(counts, np.int32, len(counts))
        values = (1.0 + np.log(np.fromiter(counts.values(), np.float32, len(counts)))) * self.idf[columns]
        return columns, np.asarray(values / (np.sqrt(values @ values) or 1.0), np.float32)

    @cached_property
    def _terms(self) -> Callable[[str], list[str]]:
        terms: Callable[[str], list[str]] = _tfidf(self.analyzer, self.ngrams, 1).build_analyzer()
        return terms

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_terms"}  # a closure: not picklable


def fit_tfidf(
    documents: list[str], analyzer: Literal["word", "char_wb"], ngrams: tuple[int, int], min_count: int
) -> tuple[Vectorizer, Matrix] | None:
    """Learn the vocabulary of `documents`; None if they have no term that occurs in `min_count` of them."""
    tfidf = _tfidf(analyzer, ngrams, min_count)
    try:
        matrix = tfidf.fit_transform(documents)
    except ValueError:  # scikit-learn's only word for an empty vocabulary
        return None
    vocabulary = {term: int(column) for term, column in tfidf.vocabulary_.items()}
    return Vectorizer(analyzer, ngrams, vocabulary, tfidf.idf_.astype(np.float32)), matrix


def _tfidf(analyzer: str, ngrams: tuple[int, int], min_count: int) -> Any:
    return TfidfVectorizer(
        analyzer=analyzer,
        ngram_range=ngrams,
        min_df=min_count,
        sublinear_tf=True,
        token_pattern=r"\w+" if analyzer == "word" else None,
        dtype=np.float32,
    )


def matrix_of(rows: Iterable[Entries], width: int) -> Matrix:
    """Stack rows of (columns, values) into a matrix of shape (rows, width)."""
    parts = list(rows)
    if not parts:
        return sparse.csr_array((0, width), dtype=np.float32)
    columns = np.concatenate([columns for columns, _ in parts], dtype=np.int32)
    values = np.concatenate([values for _, values in parts], dtype=np.float32)
    ends = np.cumsum([0, *(len(columns) for columns, _ in parts)], dtype=np.int32)
    return sparse.csr_array((values, columns, ends), shape=(len(parts), width))


@dataclass(frozen=True)
class OneRow:
    """A matrix of one row that can be multiplied, and nothing else: scipy's take longer to make than to use."""

    columns: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        return 1, self.width

    def __matmul__(self, weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Shape (1, outcomes)."""
        return (self.values @ weights[self.columns])[None]


def side_by_side(blocks: Sequence[Matrix], rows: int) -> Matrix:
    """Concatenate columns; without blocks, a matrix of no columns."""
    if not blocks:
        return sparse.csr_array((rows, 0), dtype=np.float32)
    return sparse.hstack([sparse.csr_array(block) for block in blocks], format="csr", dtype=np.float32)


@dataclass(frozen=True)
class Linear:
    """Scores of `classes` outcomes: `matrix @ weights + bias`. Float32, since memory bandwidth is the cost."""

    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    def scores(self, matrix: Matrix) -> Floats:
        """Shape (rows, classes)."""
        return np.asarray(matrix @ self.weights + self.bias, dtype=np.float64)


def fit_centroids(matrix: Matrix, codes: Ints, classes: int) -> npt.NDArray[np.float32]:
    """The mean row of each class, scaled to unit length; shape (columns, classes)."""
    rows = np.arange(len(codes))
    members = sparse.csr_array((np.ones(len(codes), np.float32), (codes, rows)), shape=(classes, len(codes)))
    means = (members @ matrix).toarray()
    return np.asarray((means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)).T, np.float32)


def fit_svm(matrix: Matrix, codes: Ints, classes: int, *, penalty: float, seed: int, balanced: bool = False) -> Linear:
    """One-vs-rest linear support vector machine. `codes` are in [0, classes); a class without an example scores -1.

    It agreed more with the teacher than ridge and SGD at 500 and 2,000 rows of the 77-class tickets.
    """
    weights = np.zeros((matrix.shape[1], classes), np.float32)
    bias = np.full(classes, -1.0, np.float32)
    seen = np.unique(codes)
    if len(seen) == 1 or matrix.shape[1] == 0:
        bias[:] = np.bincount(codes, minlength=classes) / max(len(codes), 1) * 2 - 1
        return Linear(weights, bias)
    weight = "balanced" if balanced else None
    svm = LinearSVC(C=penalty, tol=TOLERANCE, max_iter=300, random_state=seed, class_weight=weight)
    with warnings.catch_warnings():
        # An early stop agrees as often as a late one; many classes of few examples are ordinary in young tasks.
        warnings.simplefilter("ignore", UserWarning)
        svm.fit(matrix, codes)
    coefficients, intercepts = svm.coef_, svm.intercept_
    if len(seen) == 2:
        coefficients, intercepts = np.vstack([-coefficients, coefficients]), np.hstack([-intercepts, intercepts])
    weights[:, seen] = coefficients.T
    bias[seen] = intercepts
    return Linear(weights, bias)


def fit_ridge(matrix: Matrix, targets: Floats, seed: int) -> Linear:
    """Ridge regression of one number."""
    if matrix.shape[1] == 0:
        return Linear(np.zeros((0, 1), np.float32), np.array([targets.mean()], np.float32))
    ridge = Ridge(alpha=0.3, solver="sparse_cg", tol=1e-3, random_state=seed).fit(matrix, targets)
    return Linear(ridge.coef_.reshape(-1, 1).astype(np.float32), np.array([ridge.intercept_], np.float32))


def fit_logistic(evidence: Floats, correct: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
    """Coefficients and intercept of P(correct | evidence); `correct` must hold both outcomes."""
    model = LogisticRegression(C=1.0).fit(evidence, correct)
    return np.asarray(model.coef_[0], np.float64), float(model.intercept_[0])


def fit_isotonic(scores: Floats, correct: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Knots (x, y) of the best non-decreasing P(correct | score)."""
    model = IsotonicRegression(y_min=0.0, y_max=1.0).fit(scores, correct.astype(float))
    return np.asarray(model.X_thresholds_, np.float64), np.asarray(model.y_thresholds_, np.float64)


def dump(model: object, path: Path) -> None:
    joblib.dump(model, path)


def load(path: Path) -> Any:
    """Unpickle. Runs code of the file's choosing: only for files whose digest has been checked."""
    return joblib.load(path)
