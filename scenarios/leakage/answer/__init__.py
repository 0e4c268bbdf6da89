"""Where the user is, as one answer: the posterior over the area, and whether the model holds at all."""

from scenarios.leakage.answer.answer import Answer, Remark, UnderModel, Unknown, answer
from scenarios.leakage.answer.dataset import answer_dataset, dataset
from scenarios.leakage.answer.prior import InDecibels

__all__ = ["Answer", "InDecibels", "Remark", "UnderModel", "Unknown", "answer", "answer_dataset", "dataset"]
