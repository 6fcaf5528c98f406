// Gives each password field a button that shows what was typed. The forms work without it.
"use strict";

for (const field of document.querySelectorAll("input[type=password]")) {
  const button = document.createElement("button");
  const show = (isShown) => {
    field.type = isShown ? "text" : "password";
    button.textContent = isShown ? "Hide password" : "Show password";
  };
  button.type = "button";
  button.className = "quiet";
  button.addEventListener("click", () => show(field.type === "password"));
  // Browsers offer to keep what is typed into a text field, for everybody to see.
  field.form.addEventListener("submit", () => show(false));
  show(false);
  field.after(button);
}
