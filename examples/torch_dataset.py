"""Feed documents to a network of PyTorch: a Dataset of JSON lines, vectors made batch by batch as they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from mbat.sklearn import MBATVectorizer

COUNTRIES = Path(__file__).with_name("countries.jsonl")


class JsonLines(Dataset[str]):
    def __init__(self, path: Path) -> None:
        self.lines = path.read_text(encoding="utf-8").splitlines()

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, position: int) -> str:
        return self.lines[position]


def main() -> None:
    torch.manual_seed(0)
    data = JsonLines(COUNTRIES)
    vectorizer = MBATVectorizer(dim=256).fit(data.lines)

    def collate(lines: Sequence[str]) -> Any:
        return torch.from_numpy(vectorizer.transform(lines))

    batches = DataLoader(data, batch_size=32, shuffle=True, collate_fn=collate)
    network = torch.nn.Sequential(torch.nn.Linear(256, 16), torch.nn.Linear(16, 256))  # an autoencoder
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for epoch in range(5):
        total = 0.0
        for batch in batches:
            cosines = torch.nn.functional.cosine_similarity(network(batch), batch)
            optimiser.zero_grad()
            (1 - cosines.mean()).backward()
            optimiser.step()
            total += cosines.sum().item()
        print(f"Epoch {epoch + 1}: cosine of a vector and what 16 numbers keep of it {total / len(data):.2f}")


if __name__ == "__main__":
    main()
