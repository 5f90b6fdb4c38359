"use strict";
for (const form of document.querySelectorAll("form[data-passkey]")) {
  const kit = window.PublicKeyCredential;
  if (!kit || !kit.parseRequestOptionsFromJSON || !kit.parseCreationOptionsFromJSON) continue;
  const given = JSON.parse(form.dataset.passkey);
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const credential = "rp" in given
        ? await navigator.credentials.create({ publicKey: kit.parseCreationOptionsFromJSON(given) })
        : await navigator.credentials.get({ publicKey: kit.parseRequestOptionsFromJSON(given) });
      form.elements.namedItem("credential").value = JSON.stringify(credential.toJSON());
      form.submit();
    } catch (fault) {
      form.querySelector("[role=status]").textContent = "No passkey was used: " + fault.message;
    }
  });
}
