// Measures a page in a frame and leaves the result as JSON in the outer document.
window.addEventListener("load", () => {
  const inner = document.querySelector("iframe").contentDocument;
  const width = inner.documentElement.clientWidth;
  const boxes = (root, selector) => [...root.querySelectorAll(selector)];
  const bars = boxes(inner, "svg.bar").map((bar) => {
    const drawn = bar.getBoundingClientRect();
    return {
      width: drawn.width,
      height: drawn.height,
      scale: Number(bar.dataset.scaleBytes),
      parts: boxes(bar, "rect[data-bytes]").map((part) => {
        const box = part.getBoundingClientRect();
        return { bytes: Number(part.dataset.bytes), width: box.width, left: box.left - drawn.left };
      }),
    };
  });
  const wide = boxes(inner, "body *")
    .filter((one) => !one.closest(".scroll") || one.matches(".scroll"))
    .filter((one) => one.getBoundingClientRect().right > width + 0.5)
    .map((one) => `${one.tagName} ${one.className.baseVal ?? one.className}: ${one.textContent.slice(0, 40)}`);
  const measured = {
    width,
    scrollWidth: inner.documentElement.scrollWidth,
    bars,
    wide,
    page: inner.defaultView.getComputedStyle(inner.documentElement).backgroundColor,
    ink: inner.defaultView.getComputedStyle(inner.body).color,
    title: inner.title,
  };
  document.querySelector("pre").textContent = JSON.stringify(measured);
});
