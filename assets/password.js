// Gives each password field a button that shows what was typed. The forms work without it.
"use strict";

const fields = document.querySelectorAll("input[type=password]");
for (const field of fields) {
  // Of several, each is named by its label: "Show new password".
  const what = fields.length > 1 ? field.labels[0].textContent.toLowerCase() : "password";
  const button = document.createElement("button");
  const show = (isShown) => {
    field.type = isShown ? "text" : "password";
    button.textContent = `${isShown ? "Hide" : "Show"} ${what}`;
  };
  button.type = "button";
  button.className = "quiet";
  button.addEventListener("click", () => show(field.type === "password"));
  // Browsers offer to keep what is typed into a text field, for everybody to see.
  field.form.addEventListener("submit", () => show(false));
  show(false);
  field.after(button);
}
