"""The workers as hooks see them."""
