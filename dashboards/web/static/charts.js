// Lays an interactive chart over each still picture when it comes into view.  A chart that cannot
// be drawn leaves the picture where it is.
"use strict";
(function () {
  const config = {
    displaylogo: false,
    responsive: true,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };

  function openResult(event) {
    const result = event.points.length > 0 && event.points[0].customdata;
    if (Number.isInteger(result)) {
      window.location.href = "/results/" + result;
    }
  }

  async function draw(chart) {
    const drawing = chart.querySelector(".drawing");
    const live = document.createElement("div");
    live.className = "live";
    live.setAttribute("aria-hidden", "true"); // the picture's text says the same
    try {
      const answer = await fetch(chart.dataset.figure);
      if (!answer.ok) {
        return;
      }
      const figure = await answer.json();
      live.style.height = figure.layout.height + "px";
      drawing.append(live);
      await window.Plotly.newPlot(live, figure.data, figure.layout, config);
      live.on("plotly_click", openResult);
      chart.classList.add("drawn");
    } catch {
      live.remove();
    }
  }

  const seen = new IntersectionObserver(
    function (entries) {
      for (const entry of entries) {
        if (entry.isIntersecting) {
          seen.unobserve(entry.target);
          draw(entry.target);
        }
      }
    },
    { rootMargin: "400px" },
  );
  if (window.Plotly) {
    document.querySelectorAll(".chart").forEach((chart) => seen.observe(chart));
  }
})();
