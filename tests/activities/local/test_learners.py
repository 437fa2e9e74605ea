"""Our single-document TF-IDF gives scikit-learn's numbers."""

from typing import Literal

import numpy as np
import pytest

from activities.local.embedded.learners import fit_tfidf, matrix_of

DOCUMENTS = ["the card was lost", "The the CARD!", "straße und Ünïcode 42", "", "lost lost lost card payment"]


@pytest.mark.parametrize(("analyzer", "ngrams"), [("word", (1, 2)), ("char_wb", (2, 5))])
def test_a_single_document_gets_the_row_that_training_saw(
    analyzer: Literal["word", "char_wb"], ngrams: tuple[int, int]
) -> None:
    fitted = fit_tfidf(DOCUMENTS, analyzer, ngrams, 1)
    assert fitted is not None
    vectorizer, matrix = fitted
    ours = matrix_of((vectorizer.entries(document) for document in DOCUMENTS), matrix.shape[1])
    np.testing.assert_allclose(ours.toarray(), matrix.toarray(), atol=1e-6)


def test_documents_without_a_term_have_no_vocabulary() -> None:
    assert fit_tfidf(["", "  "], "word", (1, 2), 1) is None
