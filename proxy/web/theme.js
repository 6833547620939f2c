// Light, dark, or as the system says. Runs before the page is drawn, so that nothing flashes.
(() => {
  const KEY = 'orchestrator.theme';
  const ORDER = ['auto', 'light', 'dark'];
  const root = document.documentElement;
  let theme = 'auto';
  try {
    theme = ORDER.includes(localStorage.getItem(KEY)) ? localStorage.getItem(KEY) : 'auto';
  } catch {
    // Storage can be off; the switch then lasts as long as the page.
  }
  root.dataset.theme = theme;

  addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme');
    const show = () => {
      root.dataset.theme = theme;
      button.textContent = { auto: 'Auto', light: 'Light', dark: 'Dark' }[theme];
      button.setAttribute('aria-label', `Theme: ${theme}. Switch to ${ORDER[(ORDER.indexOf(theme) + 1) % 3]}.`);
    };
    button.addEventListener('click', () => {
      theme = ORDER[(ORDER.indexOf(theme) + 1) % 3];
      try {
        localStorage.setItem(KEY, theme);
      } catch {
        // As above.
      }
      show();
    });
    show();
  });
})();
