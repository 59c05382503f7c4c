"""The pages of the project."""

from django.urls import path
from orders import views

urlpatterns = [path("orders/", views.order), path("orders/<uuid:job>/", views.status)]
