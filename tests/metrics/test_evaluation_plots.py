"""The plots of an ``Evaluation``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from evaluations import DIGITS, GRID, evaluate, network
from matplotlib.figure import Figure

from lenetshift import ShiftGrid, evaluate_shifts
from lenetshift.figures.moved_image import plot_answers


@pytest.mark.usefixtures("no_window")
class TestPlots:
    def test_accuracy_map(self) -> None:
        grid = ShiftGrid(range(-6, 7, 3), range(-2, 3, 2))
        evaluation = evaluate_shifts(network(), DIGITS, grid=grid)
        given = Figure().subplots()
        assert evaluation.plot_accuracy_map(given) is given
        made = evaluation.plot_accuracy_map()
        for axes in (given, made):
            shown = np.asarray(axes.images[0].get_array())
            assert (shown == evaluation.accuracy_map()).all()
            # Every cell lies around its own shift.
            assert axes.images[0].get_extent() == [-7.5, 7.5, 3, -3]
        made.figure.canvas.draw()

    def test_image(self) -> None:
        evaluation = evaluate(DIGITS)
        given = Figure().subplots()
        assert evaluation.plot_image(7, given) is given
        made = evaluation.plot_image(7)
        expected = Figure().subplots()
        plot_answers(
            expected, DIGITS.images[7], int(DIGITS.labels[7]), evaluation.predictions[7], GRID
        )
        for axes in (given, made):
            assert (axes.images[0].get_array() == expected.images[0].get_array()).all()
            texts = [text.get_text() for text in axes.texts]
            assert texts == [text.get_text() for text in expected.texts]
            assert len(texts) == 15
        made.figure.canvas.draw()

    def test_image_shows_what_the_network_saw(self) -> None:
        """The fill, the other side of a circular shift, the window of a crop, colours."""
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8, generator=generator)
        labels = torch.zeros(2).long()
        grid = ShiftGrid(range(-1, 2), range(1))

        def shown(size: int, **settings: Any) -> list[np.ndarray]:
            evaluation = evaluate_shifts(network(10, 3, size), images, labels, grid, **settings)
            page = np.asarray(evaluation.plot_image(1).images[0].get_array())
            cells = page.reshape(size + 14, 3, size + 8, 3).swapaxes(0, 1)
            return [cell[4:-10, 4:-4] for cell in cells]  # [size, size, 3]

        image = images[1].movedim(0, 2).numpy()
        left, unmoved, right = shown(8, fill=(10, 20, 30))
        assert (unmoved == image).all()
        assert (left[:, :-1] == image[:, 1:]).all()
        assert (left[:, -1] == (10, 20, 30)).all()
        assert (right[:, 0] == (10, 20, 30)).all()
        left, _, right = shown(8, fill="circular")
        assert (left == np.roll(image, -1, 1)).all()
        assert (right == np.roll(image, 1, 1)).all()
        left, unmoved, right = shown(6, crop=(6, 6))
        assert (left == image[1:7, 2:8]).all()
        assert (unmoved == image[1:7, 1:7]).all()
        assert (right == image[1:7, 0:6]).all()

    def test_floating_pixels_are_stretched_to_what_can_be_shown(self) -> None:
        images = torch.tensor([[[-1.0, 0.0], [1.0, 3.0]]])
        grid = ShiftGrid(range(1), range(1))
        evaluation = evaluate_shifts(network(size=2), images, torch.zeros(1).long(), grid)
        shown = np.asarray(evaluation.plot_image(0).images[0].get_array())
        assert shown[4:6, 4:6].tolist() == [[0, 64], [128, 255]]

    def test_image_of_a_batch_is_given(self) -> None:
        evaluation = evaluate([(DIGITS.images, DIGITS.labels)])
        axes = evaluation.plot_image(7, image=DIGITS.images[7])
        expected = evaluate(DIGITS).plot_image(7)
        assert (axes.images[0].get_array() == expected.images[0].get_array()).all()
        with pytest.raises(ValueError, match=r"^image: got none, expected image i itself"):
            evaluation.plot_image(7)
        with pytest.raises(ValueError, match=r"^i: got 50, expected an int in 0\.\.49$"):
            evaluation.plot_image(50, image=DIGITS.images[7])
